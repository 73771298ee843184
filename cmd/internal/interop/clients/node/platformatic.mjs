// The driver of @platformatic/kafka.
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { readFileSync } from 'node:fs'
import { chunks, main, print, readLines } from './lines.mjs'

const base = address => ({ clientId: 'interop', bootstrapBrokers: [address] })

// autocommit would commit what was fetched, printed or not: what a killed member had not printed yet would be lost to its group.
async function read (address, topic, groupId, count) {
  const consumer = new Consumer({ ...base(address), groupId, deserializers: stringDeserializers })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  let left = count
  for await (const message of stream) {
    print(message.value)
    const committed = message.commit()
    if (count > 0 && --left === 0) {
      await committed
      break
    }
    // A rebalance refuses commits. The values then go to the partition's next owner again.
    committed.catch(() => {})
  }
  await consumer.close(true)
}

await main({
  async version () {
    print(JSON.parse(readFileSync('node_modules/@platformatic/kafka/package.json')).version)
  },
  async publish (address, topic, codec) {
    const producer = new Producer({ ...base(address), serializers: stringSerializers, autocreateTopics: true })
    for (const lines of chunks(await readLines(), 5000)) {
      await producer.send({ compression: codec, messages: lines.map(value => ({ topic, value })) })
    }
    await producer.close()
  },
  // There is no consumer without a group in this client.
  consume: (address, topic, count) => read(address, topic, `consume-${topic}-${process.pid}`, Number(count)),
  member: (address, topic, group, count) => read(address, topic, group, Number(count)),
  async topics (address, topic) {
    const admin = new Admin(base(address))
    await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 })
    const metadata = await admin.metadata({ topics: [topic] })
    print(`partitions ${metadata.topics.get(topic).partitionsCount}`)
    await admin.deleteTopics({ topics: [topic] })
    print('deleted')
    await admin.close()
  },
  async groups (address, group) {
    const admin = new Admin(base(address))
    const groups = await admin.listGroups()
    if (groups.has(group)) print('listed')
    const described = (await admin.describeGroups({ groups: [group] })).get(group)
    print(`${described.state} ${described.members.size}`)
    await admin.close()
  }
})
