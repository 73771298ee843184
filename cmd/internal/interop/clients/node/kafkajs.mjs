// The driver of kafkajs. Its default installation compresses with gzip alone.
import kafkajs from 'kafkajs'
import { createRequire } from 'node:module'
import { chunks, main, print, readLines } from './lines.mjs'

const { CompressionTypes, Kafka, logLevel } = kafkajs

const connect = address => new Kafka({ brokers: [address], logLevel: logLevel.ERROR, logCreator: () => entry => console.error(entry.log.message) })
const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP }

async function read (address, topic, groupId, count) {
  const consumer = connect(address).consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let left = count
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer.run({
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale, commitOffsetsIfNecessary, uncommittedOffsets }) => {
        for (const message of batch.messages) {
          if (!isRunning() || isStale() || (count > 0 && left === 0)) return
          print(message.value)
          resolveOffset(message.offset)
          await heartbeat()
          if (count > 0 && --left === 0) {
            await commitOffsetsIfNecessary(uncommittedOffsets())
            resolve()
          }
        }
      }
    }).catch(reject)
  })
  await consumer.disconnect()
}

await main({
  async version () {
    print(createRequire(import.meta.url)('kafkajs/package.json').version)
  },
  async publish (address, topic, codec) {
    const producer = connect(address).producer()
    await producer.connect()
    for (const lines of chunks(await readLines(), 5000)) {
      await producer.send({ topic, compression: codecs[codec], messages: lines.map(value => ({ value })) })
    }
    await producer.disconnect()
  },
  // There is no consumer without a group in this client.
  consume: (address, topic, count) => read(address, topic, `consume-${topic}-${process.pid}`, Number(count)),
  member: (address, topic, group, count) => read(address, topic, group, Number(count)),
  async topics (address, topic) {
    const admin = connect(address).admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    print(`partitions ${topics[0].partitions.length}`)
    await admin.deleteTopics({ topics: [topic] })
    print('deleted')
    await admin.disconnect()
  },
  async groups (address, group) {
    const admin = connect(address).admin()
    await admin.connect()
    const { groups } = await admin.listGroups()
    if (groups.some(({ groupId }) => groupId === group)) print('listed')
    const described = await admin.describeGroups([group])
    print(`${described.groups[0].state} ${described.groups[0].members.length}`)
    await admin.disconnect()
  }
})
