import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The driver of Kafka's own client. See README.md beside this directory for the command line. */
public final class Driver {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "version" -> OUT.println(version());
            case "publish" -> publish(args[1], args[2], args[3]);
            case "consume" -> consume(args[1], args[2], Long.parseLong(args[3]));
            case "member" -> member(args[1], args[2], args[3], Long.parseLong(args[4]));
            case "topics" -> topics(args[1], args[2]);
            case "groups" -> groups(args[1], args[2]);
            default -> throw new IllegalArgumentException("usage: see README.md");
        }
    }

    /** The version in the name of the jar that the client comes from: the tools bring version files of their own. */
    private static String version() throws Exception {
        String jar = KafkaConsumer.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        return jar.replaceAll(".*/kafka-clients-|\\.jar$", "");
    }

    private static Properties settings(String address) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", address);
        return properties;
    }

    private static void publish(String address, String topic, String codec) throws Exception {
        Properties properties = settings(address);
        properties.put("compression.type", codec);
        try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
                var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            var sent = new java.util.ArrayList<Future<?>>();
            for (String line; (line = input.readLine()) != null; ) {
                sent.add(producer.send(new ProducerRecord<>(topic, line)));
            }
            for (Future<?> future : sent) {
                future.get();
            }
        }
    }

    private static KafkaConsumer<String, String> consumer(Properties properties) {
        properties.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private static void consume(String address, String topic, long count) {
        try (var consumer = consumer(settings(address))) {
            var partitions = List.of(new TopicPartition(topic, 0));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            print(consumer, count);
        }
    }

    private static void member(String address, String topic, String group, long count) {
        Properties properties = settings(address);
        properties.put("group.id", group);
        try (var consumer = consumer(properties)) {
            consumer.subscribe(List.of(topic));
            print(consumer, count);
        }
    }

    /** Prints count values, or all for ever. What was polled and not printed is given back: closing commits positions. */
    private static void print(KafkaConsumer<String, String> consumer, long count) {
        long left = count;
        while (true) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                OUT.println(record.value());
                left--;
                if (count > 0 && left == 0) {
                    consumer.seek(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
                    return;
                }
            }
        }
    }

    private static void topics(String address, String topic) throws Exception {
        try (var admin = Admin.create(settings(address))) {
            admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get();
            var described = admin.describeTopics(List.of(topic)).allTopicNames().get();
            OUT.println("partitions " + described.get(topic).partitions().size());
            admin.deleteTopics(List.of(topic)).all().get();
            OUT.println("deleted");
        }
    }

    private static void groups(String address, String group) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", address))) {
            if (admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group))) {
                OUT.println("listed");
            }
            var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            OUT.println(described.groupState() + " " + described.members().size());
        }
    }
}
