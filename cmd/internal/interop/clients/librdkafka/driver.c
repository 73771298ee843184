/* The driver of librdkafka. See README.md beside this directory for the command line. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60000, ERROR_BYTES = 512, PARTITIONS = 3 };

static char error_text[ERROR_BYTES];

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    if (rd_kafka_conf_set(conf, name, value, error_text, sizeof error_text) != RD_KAFKA_CONF_OK)
        fail(name, error_text);
}

static rd_kafka_t *start(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *address) {
    set(conf, "bootstrap.servers", address);
    rd_kafka_t *rk = rd_kafka_new(type, conf, error_text, sizeof error_text);
    if (!rk)
        fail("rd_kafka_new", error_text);
    return rk;
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    (void)rk, (void)opaque;
    if (m->err)
        fail("delivery", rd_kafka_err2str(m->err));
}

static void publish(const char *address, const char *topic, const char *codec) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "compression.type", codec);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, conf, address);
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t n; (n = getline(&line, &capacity, stdin)) >= 0;) {
        if (n > 0 && line[n - 1] == '\n')
            n--;
        rd_kafka_resp_err_t err;
        do {
            err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE(line, (size_t)n),
                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
            rd_kafka_poll(rk, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
        } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
        if (err)
            fail("produce", rd_kafka_err2str(err));
    }
    rd_kafka_resp_err_t err = rd_kafka_flush(rk, TIMEOUT_MS);
    if (err)
        fail("flush", rd_kafka_err2str(err));
    free(line);
    rd_kafka_destroy(rk);
}

/* read_records joins a group, or without one takes partition 0, and prints count values, or all for ever. */
static void read_records(const char *address, const char *topic, const char *group, long count) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", group ? group : "unused");
    set(conf, "auto.offset.reset", "earliest");
    rd_kafka_t *rk = start(RD_KAFKA_CONSUMER, conf, address);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t err;
    if (group) {
        rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
        err = rd_kafka_subscribe(rk, list);
    } else {
        rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
        err = rd_kafka_assign(rk, list);
    }
    if (err)
        fail("subscribe", rd_kafka_err2str(err));
    for (long n = 0; count == 0 || n < count;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);
        if (!m)
            continue;
        if (m->err)
            fail("consume", rd_kafka_message_errstr(m));
        fwrite(m->payload, 1, m->len, stdout);
        putchar('\n');
        if (group)
            fflush(stdout);
        rd_kafka_message_destroy(m);
        n++;
    }
    rd_kafka_topic_partition_list_destroy(list);
    /* Closing commits what was handed out, and leaves the group. */
    if ((err = rd_kafka_consumer_close(rk)))
        fail("close", rd_kafka_err2str(err));
    rd_kafka_destroy(rk);
}

static void check_topic(rd_kafka_event_t *event) {
    if (!event)
        fail("admin", "no answer");
    if (rd_kafka_event_error(event))
        fail("admin", rd_kafka_event_error_string(event));
    size_t n = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT
            ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n)
            : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
    for (size_t i = 0; i < n; i++)
        if (rd_kafka_topic_result_error(results[i]))
            fail("topic", rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
}

static void topics(const char *address, const char *topic) {
    rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), address);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(topic, PARTITIONS, 1, error_text, sizeof error_text);
    rd_kafka_CreateTopics(rk, &new_topic, 1, NULL, queue);
    check_topic(rd_kafka_queue_poll(queue, TIMEOUT_MS));
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, handle, &metadata, TIMEOUT_MS);
    if (err)
        fail("metadata", rd_kafka_err2str(err));
    printf("partitions %d\n", metadata->topics[0].partition_cnt);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    rd_kafka_DeleteTopic_t *old_topic = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(rk, &old_topic, 1, NULL, queue);
    check_topic(rd_kafka_queue_poll(queue, TIMEOUT_MS));
    puts("deleted");
    rd_kafka_NewTopic_destroy(new_topic);
    rd_kafka_DeleteTopic_destroy(old_topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

static void groups(const char *address, const char *group) {
    rd_kafka_t *rk = start(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), address);
    const struct rd_kafka_group_list *list;
    rd_kafka_resp_err_t err = rd_kafka_list_groups(rk, NULL, &list, TIMEOUT_MS);
    if (err)
        fail("list groups", rd_kafka_err2str(err));
    for (int i = 0; i < list->group_cnt; i++)
        if (!strcmp(list->groups[i].group, group)) {
            puts("listed");
            printf("%s %d\n", list->groups[i].state, list->groups[i].member_cnt);
        }
    rd_kafka_group_list_destroy(list);
    rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "version"))
        puts(rd_kafka_version_str());
    else if (!strcmp(what, "publish") && argc == 5)
        publish(argv[2], argv[3], argv[4]);
    else if (!strcmp(what, "consume") && argc == 5)
        read_records(argv[2], argv[3], NULL, atol(argv[4]));
    else if (!strcmp(what, "member") && argc == 6)
        read_records(argv[2], argv[3], argv[4], atol(argv[5]));
    else if (!strcmp(what, "topics") && argc == 4)
        topics(argv[2], argv[3]);
    else if (!strcmp(what, "groups") && argc == 4)
        groups(argv[2], argv[3]);
    else
        fail("usage", "see README.md");
    return 0;
}
