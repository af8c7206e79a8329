"""What a user of the official Python client does, as steps that either hold or end the process.

    scenario.py --address 127.0.0.1:8090 --password SECRET before|after|reconnect

before     creates everything, sends, polls, groups, users
after      a server was killed in between: everything must still be there
reconnect  prints "sent", waits for a line on standard input (the server is restarted meanwhile)
           and goes on with the same client
"""

import argparse
import asyncio
import datetime
import os
import sys

from apache_iggy import (
    AutoCommit,
    AutoCommitWhen,
    AutoLogin,
    Consumer,
    Durability,
    GlobalPermissions,
    HeaderKey,
    HeaderValue,
    IggyClient,
    IggyExpiry,
    MaxTopicSize,
    Partitioning,
    Permissions,
    PollingStrategy,
    SendMessage,
    TcpConfig,
    UserStatus,
)

STREAM, TOPIC, GROUP = "pipeline", "orders", "billing"
PARTITIONS = 4
COUNT = 1000


def step(name):
    print(f"step {name}", flush=True)


async def refused(what, awaitable):
    """The call must fail; returns the text of the error."""
    try:
        await awaitable
    except Exception as error:  # the client raises RuntimeError and its own kinds
        return str(error)
    raise AssertionError(f"not refused: {what}")


async def client_of(args, username="iggy", password=None):
    client = IggyClient(
        TcpConfig(
            server_address=args.address,
            auto_login=AutoLogin.username_password(username, password or args.password),
        )
    )
    await client.connect()
    return client


async def poll(client, strategy, count, consumer=1, topic=TOPIC, auto_commit=False):
    return await client.poll_messages(
        STREAM if topic != "topic" else "lasting",
        topic,
        consumer=Consumer.Single(consumer),
        polling_strategy=strategy,
        count=count,
        auto_commit=auto_commit,
        partition_id=0,
    )


def payload(number):
    return f"message {number} " + "x" * (number % 50)


async def before(args):
    step("login with a wrong password is refused, then the right one works")
    stranger = IggyClient(args.address)
    await stranger.connect()
    await refused("wrong password", stranger.login_user("iggy", "wrong-password"))
    await refused("unknown user", stranger.login_user("nobody", "wrong-password"))
    client = await client_of(args)
    await client.ping()

    step("streams and topics: create, find by name and id, rename, duplicates")
    await client.create_stream(STREAM)
    await refused("stream exists", client.create_stream(STREAM))
    stream = await client.get_stream(STREAM)
    assert stream is not None and stream.id == 0 and stream.topics_count == 0
    assert (await client.get_stream("nothing")) is None
    await client.create_topic(
        STREAM,
        TOPIC,
        partitions_count=PARTITIONS,
        message_expiry=IggyExpiry.ExpireDuration(datetime.timedelta(days=7)),
        max_topic_size=MaxTopicSize.Custom(10 * 1024**3),
        durability=Durability.PERSISTED,
    )
    await refused("topic exists", client.create_topic(STREAM, TOPIC, partitions_count=1))
    topic = await client.get_topic(STREAM, TOPIC)
    assert topic is not None and topic.partitions_count == PARTITIONS
    await client.update_topic(STREAM, TOPIC, "renamed")
    assert (await client.get_topic(STREAM, TOPIC)) is None
    await client.update_topic(STREAM, "renamed", TOPIC)
    assert len(await client.get_topics(STREAM)) == 1
    assert {spec.key for spec in await client.describe_options("topic")} >= {"segment_size"}

    step("partitions: add and delete")
    await client.create_partitions(STREAM, TOPIC, 2)
    assert (await client.get_topic(STREAM, TOPIC)).partitions_count == PARTITIONS + 2
    await client.delete_partitions(STREAM, TOPIC, 2)
    assert (await client.get_topic(STREAM, TOPIC)).partitions_count == PARTITIONS

    step("send with headers and ids, read back exactly")
    headers = {
        HeaderKey.String("kind"): HeaderValue.String("order"),
        HeaderKey.String("amount"): HeaderValue.UnsignedInt64(2**63),
        HeaderKey.String("ratio"): HeaderValue.Float64(0.5),
        HeaderKey.String("final"): HeaderValue.Bool(True),
        HeaderKey.String("blob"): HeaderValue.Raw(b"\x00\xff"),
    }
    sent = [SendMessage(payload(i), user_headers=headers, id=i + 1) for i in range(10)]
    answer = await client.send_messages(STREAM, TOPIC, Partitioning.partition_id(0), sent)
    assert [c.base_offset for c in answer.confirmations] == [0]
    polled = await poll(client, PollingStrategy.First(), 10)
    assert [m.offset() for m in polled] == list(range(10))
    assert [m.payload().decode() for m in polled] == [payload(i) for i in range(10)]
    assert [m.id() for m in polled] == [i + 1 for i in range(10)]
    for message in polled:
        got = message.user_headers()
        assert got is not None and len(got) == len(headers)

    step("order and offsets of many batches")
    offset = 10
    for first in range(10, COUNT, 90):
        batch = [SendMessage(payload(i)) for i in range(first, first + 90)]
        answer = await client.send_messages(STREAM, TOPIC, Partitioning.partition_id(0), batch)
        assert answer.confirmations[0].base_offset == offset
        offset += 90
    await check_all(client, more=0)

    step("balanced and keyed sends reach existing partitions")
    seen = set()
    for number in range(12):
        answer = await client.send_messages(
            STREAM, TOPIC, Partitioning.balanced(), [SendMessage(f"balanced {number}")]
        )
        seen.add(answer.confirmations[0].partition_id)
    assert seen == set(range(PARTITIONS)), seen
    keyed = set()
    for number in range(6):
        answer = await client.send_messages(
            STREAM, TOPIC, Partitioning.messages_key("customer-7"), [SendMessage(f"key {number}")]
        )
        keyed.add(answer.confirmations[0].partition_id)
    assert len(keyed) == 1

    step("next with auto-commit goes on where it stopped")
    got = []
    for _ in range(5):
        polled = await poll(client, PollingStrategy.Next(), 20, consumer="reader", auto_commit=True)
        got += [m.offset() for m in polled]
    assert got == list(range(100)), got

    step("missing things are refused with their own words")
    await refused(
        "missing topic",
        poll(client, PollingStrategy.First(), 1, topic="nope"),
    )
    await refused(
        "missing partition",
        client.send_messages(STREAM, TOPIC, Partitioning.partition_id(99), [SendMessage("x")]),
    )

    await users(client, args)
    await groups(client, args)

    step("stats count what is there")
    stats = await client.get_stats()
    assert stats.streams_count == 1 and stats.topics_count == 1
    assert stats.partitions_count == PARTITIONS and stats.messages_count >= COUNT

    step("purge")
    await client.create_topic(STREAM, "scratch", partitions_count=1)
    await client.send_messages(STREAM, "scratch", Partitioning.partition_id(0), [SendMessage("x")])
    await client.purge_topic(STREAM, "scratch")
    answer = await client.send_messages(
        STREAM, "scratch", Partitioning.partition_id(0), [SendMessage("after")]
    )
    assert answer.confirmations[0].base_offset == 0
    await client.delete_topic(STREAM, "scratch")
    await client.logout_user()


async def check_all(client, more):
    """The first COUNT messages of partition 0, by every strategy; `more` came after them."""
    everything = []
    while len(everything) < COUNT:
        polled = await poll(client, PollingStrategy.Offset(len(everything)), min(77, COUNT - len(everything)))
        assert polled
        everything += polled
    assert [m.offset() for m in everything] == list(range(COUNT))
    assert [m.payload().decode() for m in everything] == [payload(i) for i in range(COUNT)]
    last = await poll(client, PollingStrategy.Last(), 15)
    assert [m.offset() for m in last] == list(range(COUNT + more - 15, COUNT + more))
    middle = everything[COUNT // 2]
    by_time = await poll(client, PollingStrategy.Timestamp(middle.timestamp()), 1)
    assert by_time[0].timestamp() == middle.timestamp() and by_time[0].offset() <= middle.offset()
    assert await poll(client, PollingStrategy.Offset(COUNT + more), 1) == []


async def users(client, args):
    step("users and permissions")
    await client.create_user(
        "reader",
        "reader-secret",
        status=UserStatus.Active,
        permissions=Permissions(global_permissions=GlobalPermissions(poll_messages=True)),
    )
    await refused("user exists", client.create_user("reader", "other-secret"))
    reader = await client_of(args, "reader", "reader-secret")
    polled = await poll(reader, PollingStrategy.First(), 1)
    assert len(polled) == 1
    await refused(
        "send without the right",
        reader.send_messages(STREAM, TOPIC, Partitioning.partition_id(0), [SendMessage("x")]),
    )
    await refused("create without the right", reader.create_stream("mine"))
    await client.update_permissions(
        "reader", Permissions(global_permissions=GlobalPermissions(send_messages=True))
    )
    await reader.send_messages(STREAM, TOPIC, Partitioning.partition_id(3), [SendMessage("now")])
    await reader.change_password("reader", "reader-secret", "changed-secret")
    await refused("old password", client_of(args, "reader", "reader-secret"))
    assert {user.username for user in await client.get_users()} == {"iggy", "reader"}


async def groups(client, args):
    step("a consumer group with two members shares the partitions")
    for partition in range(PARTITIONS):
        await client.send_messages(
            STREAM,
            TOPIC,
            Partitioning.partition_id(partition),
            [SendMessage(f"group {partition} {i}") for i in range(5)],
        )
    topic = await client.get_topic(STREAM, TOPIC)
    total = sum(partition.messages_count for partition in topic.partitions)
    members = [await client_of(args), await client_of(args)]
    seen = set()
    done = asyncio.Event()

    async def take(message):
        place = (message.partition_id(), message.offset())
        assert place not in seen, f"{place} came twice"
        seen.add(place)
        if len(seen) == total:
            done.set()

    consumers = []
    for member in members:
        consumers.append(
            await member.consumer_group(
                GROUP,
                STREAM,
                TOPIC,
                polling_strategy=PollingStrategy.Next(),
                batch_length=50,
                auto_commit=AutoCommit.When(AutoCommitWhen.PollingMessages()),
                poll_interval=datetime.timedelta(milliseconds=5),
            )
        )
    group = await client.get_consumer_group(STREAM, TOPIC, GROUP)
    assert group.members_count == 2
    assert sorted(len(member.partitions) for member in group.members) == [2, 2]
    tasks = [asyncio.ensure_future(consumer.consume_messages(take, done)) for consumer in consumers]
    await asyncio.wait_for(done.wait(), 60)
    await asyncio.gather(*tasks)
    assert len(seen) == total


async def after(args):
    client = await client_of(args)
    step("everything acknowledged before the kill is there")
    topic = await client.get_topic(STREAM, TOPIC)
    await check_all(client, more=topic.partitions[0].messages_count - COUNT)
    step("users and their changed passwords are there")
    reader = await client_of(args, "reader", "changed-secret")
    await reader.ping()
    step("offsets of consumers go on")
    polled = await poll(client, PollingStrategy.Next(), 1, consumer="reader")
    assert polled[0].offset() <= 100
    step("the group is there, without members of the past")
    group = await client.get_consumer_group(STREAM, TOPIC, GROUP)
    assert group is not None and group.members_count == 0
    step("new messages continue the numbering")
    topic = await client.get_topic(STREAM, TOPIC)
    first = topic.partitions[0].current_offset + 1
    answer = await client.send_messages(
        STREAM, TOPIC, Partitioning.partition_id(0), [SendMessage("later")]
    )
    assert answer.confirmations[0].base_offset == first


async def reconnect(args):
    client = await client_of(args)
    await client.create_stream("lasting")
    await client.create_topic("lasting", "topic", partitions_count=1)
    for number in range(10):
        await client.send_messages(
            "lasting", "topic", Partitioning.partition_id(0), [SendMessage(f"{number}")]
        )
    print("sent", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    step("the same client goes on after a restart of the server")
    polled = await poll(client, PollingStrategy.First(), 100, topic="topic")
    assert [m.payload().decode() for m in polled] == [f"{i}" for i in range(10)]
    answer = await client.send_messages(
        "lasting", "topic", Partitioning.partition_id(0), [SendMessage("10")]
    )
    assert answer.confirmations[0].base_offset == 10


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("phase", choices=["before", "after", "reconnect"])
    args = parser.parse_args()
    asyncio.run({"before": before, "after": after, "reconnect": reconnect}[args.phase](args))
    print("done", flush=True)
    # Threads of several clients sometimes outlive the interpreter and end it with a signal.
    os._exit(0)


main()
