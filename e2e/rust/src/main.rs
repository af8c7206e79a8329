//! What a user of the official Rust client does, as steps that either hold or end the process.
//!
//!     iggy-e2e ADDRESS PASSWORD before|after|volume [COUNT]
//!
//! `before` creates and checks everything, `after` checks that it survived a kill, `volume` sends
//! COUNT messages of 1 KiB and reads them back, in order, without a gap.

use iggy::prelude::*;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Instant;

const STREAM: &str = "rust-stream";
const TOPIC: &str = "rust-topic";
const GROUP: &str = "rust-group";
const PARTITIONS: u32 = 3;
const COUNT: u64 = 300;

fn step(name: &str) {
    println!("step {name}");
}

fn id(name: &str) -> Identifier {
    Identifier::named(name).expect("a name is an identifier")
}

fn refused<T>(what: &str, code: u32, result: Result<T, IggyError>) {
    match result {
        Ok(_) => panic!("not refused: {what}"),
        Err(error) => assert_eq!(error.as_code(), code, "{what}: {error}"),
    }
}

async fn client_of(address: &str, credentials: Credentials) -> IggyClient {
    let client = IggyClientBuilder::new()
        .with_tcp()
        .with_server_address(address.to_string())
        .with_auto_sign_in(AutoLogin::Enabled(credentials))
        .with_no_delay()
        .build()
        .expect("a client");
    client.connect().await.expect("a connection");
    client
}

fn root(password: &str) -> Credentials {
    Credentials::UsernamePassword("iggy".into(), password.to_string().into())
}

fn message(number: u64) -> IggyMessage {
    let headers = BTreeMap::from([
        (HeaderKey::from_str("number").unwrap(), HeaderValue::from(number)),
        (HeaderKey::from_str("kind").unwrap(), HeaderValue::from_str("test").unwrap()),
    ]);
    IggyMessage::builder()
        .id(u128::from(number) + 1)
        .payload(format!("message {number}").into())
        .user_headers(headers)
        .build()
        .expect("a message")
}

async fn poll(
    client: &IggyClient,
    partition: Option<u32>,
    consumer: &Consumer,
    strategy: PollingStrategy,
    count: u32,
    auto_commit: bool,
) -> Result<PolledMessages, IggyError> {
    client
        .poll_messages(&id(STREAM), &id(TOPIC), partition, consumer, &strategy, count, auto_commit)
        .await
}

async fn before(address: &str, password: &str) {
    let client = client_of(address, root(password)).await;
    let (stream, topic) = (id(STREAM), id(TOPIC));

    step("streams and topics with their error codes");
    client.create_stream(STREAM).await.expect("a stream");
    refused("stream exists", 1012, client.create_stream(STREAM).await);
    let options = TopicCreateOptions { partitions_count: Some(PARTITIONS), ..Default::default() };
    refused("no such stream", 1009, client.create_topic(&id("nope"), TOPIC, &options).await);
    let created = client.create_topic(&stream, TOPIC, &options).await.expect("a topic");
    assert_eq!(created.partitions_count, PARTITIONS);
    refused("topic exists", 2013, client.create_topic(&stream, TOPIC, &options).await);
    assert!(client.get_topic(&stream, &id("nope")).await.unwrap().is_none());
    let many = TopicCreateOptions { partitions_count: Some(1001), ..Default::default() };
    refused("too many partitions", 2015, client.create_topic(&stream, "many", &many).await);

    step("messages of one batch keep ids, headers and order");
    let mut messages: Vec<IggyMessage> = (0..COUNT).map(message).collect();
    let answer = client
        .send_messages(&stream, &topic, &Partitioning::partition_id(0), &mut messages)
        .await
        .expect("a confirmation");
    assert_eq!(answer.confirmations[0].base_offset, 0);
    check_messages(&client).await;

    step("every strategy");
    let consumer = Consumer::new(Identifier::numeric(7).unwrap());
    let last = poll(&client, Some(0), &consumer, PollingStrategy::last(), 10, false).await.unwrap();
    assert_eq!(last.messages[0].header.offset, COUNT - 10);
    assert_eq!(last.current_offset, COUNT - 1);
    let at = last.messages[0].header.timestamp;
    let timed = poll(&client, Some(0), &consumer, PollingStrategy::timestamp(at.into()), 1, false);
    assert_eq!(timed.await.unwrap().messages[0].header.timestamp, at);
    let next = poll(&client, Some(0), &consumer, PollingStrategy::next(), 10, true).await.unwrap();
    assert_eq!(next.messages[0].header.offset, 0);
    let next = poll(&client, Some(0), &consumer, PollingStrategy::next(), 10, true).await.unwrap();
    assert_eq!(next.messages[0].header.offset, 10);
    let none = poll(&client, Some(1), &consumer, PollingStrategy::first(), 10, false).await.unwrap();
    assert_eq!((none.count, none.partition_id, none.current_offset), (0, 1, 0));
    let gone = poll(&client, Some(99), &consumer, PollingStrategy::first(), 1, false).await;
    refused("no such partition", 3007, gone);

    offsets(&client).await;
    groups(address, password, &client).await;
    users_and_tokens(address, &client).await;

    step("clients, stats, options, cluster metadata, snapshot, flush");
    let me = client.get_me().await.expect("me");
    assert!(client.get_clients().await.unwrap().iter().any(|c| c.client_id == me.client_id));
    assert!(client.get_client(me.client_id).await.unwrap().is_some());
    assert!(client.get_stats().await.expect("stats").messages_count >= COUNT);
    assert!(!client.describe_options(OptionsScope::Topic).await.unwrap().is_empty());
    assert_eq!(client.get_cluster_metadata().await.expect("nodes").nodes.len(), 1);
    let archive = client.snapshot(SnapshotCompression::Deflated, vec![SystemSnapshotType::Test]);
    assert_eq!(&archive.await.expect("an archive").0[..2], b"PK");
    refused("flush", 5, client.flush_unsaved_buffer(&stream, &topic, 0, true).await);
    client.delete_segments(&stream, &topic, 0, 1).await.expect("nothing sealed to delete");

    step("purge, and delete partitions, topic, stream");
    client.create_stream("scratch").await.expect("a stream");
    let options = TopicCreateOptions { partitions_count: Some(2), ..Default::default() };
    client.create_topic(&id("scratch"), "t", &options).await.expect("a topic");
    let mut one = vec![message(1)];
    let to = Partitioning::partition_id(1);
    client.send_messages(&id("scratch"), &id("t"), &to, &mut one).await.unwrap();
    client.purge_stream(&id("scratch")).await.expect("a purge");
    let topic = client.get_topic(&id("scratch"), &id("t")).await.unwrap().unwrap();
    assert_eq!((topic.messages_count, topic.partitions[1].messages_count), (0, 0));
    refused("too many", 2019, client.delete_partitions(&id("scratch"), &id("t"), 3).await);
    client.delete_partitions(&id("scratch"), &id("t"), 1).await.expect("one partition less");
    client.delete_topic(&id("scratch"), &id("t")).await.expect("no topic");
    client.delete_stream(&id("scratch")).await.expect("no stream");
}

async fn check_messages(client: &IggyClient) {
    let consumer = Consumer::new(Identifier::numeric(1).unwrap());
    let polled = poll(client, Some(0), &consumer, PollingStrategy::first(), COUNT as u32, false)
        .await
        .expect("messages");
    assert_eq!(polled.messages.len() as u64, COUNT);
    for (number, got) in polled.messages.iter().enumerate() {
        let number = number as u64;
        assert_eq!(got.header.offset, number);
        assert_eq!(got.header.id, u128::from(number) + 1);
        assert_eq!(got.payload, format!("message {number}").as_bytes());
        let headers = got.user_headers_map().unwrap().expect("headers");
        let value = headers.get(&HeaderKey::from_str("number").unwrap()).expect("a header");
        assert_eq!(value.as_uint64().unwrap(), number);
    }
}

async fn offsets(client: &IggyClient) {
    step("consumer offsets: store, get, delete and their refusals");
    let (stream, topic) = (id(STREAM), id(TOPIC));
    let named = Consumer::new(id("worker"));
    let get = || client.get_consumer_offset(&named, &stream, &topic, Some(0));
    assert!(get().await.unwrap().is_none());
    client.store_consumer_offset(&named, &stream, &topic, Some(0), 120).await.expect("stored");
    assert_eq!(get().await.unwrap().expect("an offset").stored_offset, 120);
    client.store_consumer_offset(&named, &stream, &topic, Some(0), 20).await.expect("back");
    assert_eq!(get().await.unwrap().expect("an offset").stored_offset, 20);
    let beyond = client.store_consumer_offset(&named, &stream, &topic, Some(0), COUNT).await;
    refused("beyond the end", 4100, beyond);
    let empty = client.store_consumer_offset(&named, &stream, &topic, Some(1), 0).await;
    refused("empty partition", 4100, empty);
    client.delete_consumer_offset(&named, &stream, &topic, Some(0)).await.expect("deleted");
    let again = client.delete_consumer_offset(&named, &stream, &topic, Some(0)).await;
    refused("nothing stored", 3021, again);
    client.store_consumer_offset(&named, &stream, &topic, Some(0), 33).await.expect("stored");
}

async fn groups(address: &str, password: &str, client: &IggyClient) {
    step("a consumer group of two members");
    let (stream, topic, group) = (id(STREAM), id(TOPIC), id(GROUP));
    client.create_consumer_group(&stream, &topic, GROUP).await.expect("a group");
    refused("exists", 5004, client.create_consumer_group(&stream, &topic, GROUP).await);
    refused("none", 5000, client.join_consumer_group(&stream, &topic, &id("nope")).await);
    let members = [client_of(address, root(password)).await, client_of(address, root(password)).await];
    for member in &members {
        member.join_consumer_group(&stream, &topic, &group).await.expect("joined");
        member.join_consumer_group(&stream, &topic, &group).await.expect("joined twice");
    }
    let details = client.get_consumer_group(&stream, &topic, &group).await.unwrap().unwrap();
    assert_eq!(details.members_count, 2);
    let mut owned: Vec<u32> = details.members.iter().flat_map(|m| m.partitions.clone()).collect();
    owned.sort_unstable();
    assert_eq!(owned, (0..PARTITIONS).collect::<Vec<u32>>());
    let consumer = Consumer::group(group.clone());
    let mut seen = 0;
    for round in 0.. {
        assert!(round < 1000, "the group does not get everything: {seen}");
        let member = &members[round % 2];
        let polled = poll(member, None, &consumer, PollingStrategy::next(), 50, true).await.unwrap();
        seen += polled.messages.len() as u64;
        if seen == COUNT {
            break;
        }
    }
    let stranger = client.leave_consumer_group(&stream, &topic, &group).await;
    refused("not a member", 5006, stranger);
    members[0].leave_consumer_group(&stream, &topic, &group).await.expect("left");
    let details = client.get_consumer_group(&stream, &topic, &group).await.unwrap().unwrap();
    assert_eq!(details.members_count, 1);
    assert_eq!(details.members[0].partitions.len() as u32, PARTITIONS);
    members[1].shutdown().await.expect("gone");
    for _ in 0..500 {
        let details = client.get_consumer_group(&stream, &topic, &group).await.unwrap().unwrap();
        if details.members_count == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a member whose connection is closed stays in the group");
}

async fn users_and_tokens(address: &str, client: &IggyClient) {
    step("users, permissions, tokens");
    let global = GlobalPermissions { read_streams: true, ..Default::default() };
    let permissions = Some(Permissions { global, streams: None });
    client
        .create_user("rustacean", "rust-secret", UserStatus::Active, permissions)
        .await
        .expect("a user");
    let again = client.create_user("rustacean", "rust-secret", UserStatus::Active, None).await;
    refused("exists", 46, again);
    let login = Credentials::UsernamePassword("rustacean".into(), "rust-secret".to_string().into());
    let user = client_of(address, login).await;
    assert_eq!(user.get_streams().await.expect("streams").len(), 1);
    refused("no right", 41, user.create_stream("mine").await);
    refused("no right", 41, user.get_users().await);
    assert!(user.get_user(&id("rustacean")).await.expect("oneself").is_some());
    let wrong = user.change_password(&id("rustacean"), "wrong-secret", "new-secret").await;
    refused("wrong password", 42, wrong);
    refused("root stays", 48, client.delete_user(&Identifier::numeric(0).unwrap()).await);

    let token = user
        .create_personal_access_token("ci", PersonalAccessTokenExpiry::NeverExpire)
        .await
        .expect("a token");
    let twice = user.create_personal_access_token("ci", PersonalAccessTokenExpiry::NeverExpire);
    refused("exists", 51, twice.await);
    assert_eq!(user.get_personal_access_tokens().await.unwrap().len(), 1);
    let by_token = client_of(address, Credentials::PersonalAccessToken(token.token.clone().into())).await;
    assert_eq!(by_token.get_streams().await.expect("streams").len(), 1);
    user.delete_personal_access_token("ci").await.expect("deleted");
    refused("gone", 20, user.delete_personal_access_token("ci").await);
    client.update_user(&id("rustacean"), Some("renamed"), None, &Default::default()).await.unwrap();
    client.delete_user(&id("renamed")).await.expect("deleted");
    assert!(user.get_streams().await.is_err(), "a deleted user reads on");
}

async fn after(address: &str, password: &str) {
    let client = client_of(address, root(password)).await;
    step("messages, offsets and the group survived");
    check_messages(&client).await;
    let named = Consumer::new(id("worker"));
    let offset = client.get_consumer_offset(&named, &id(STREAM), &id(TOPIC), Some(0)).await;
    assert_eq!(offset.unwrap().expect("an offset").stored_offset, 33);
    let group = client.get_consumer_group(&id(STREAM), &id(TOPIC), &id(GROUP)).await.unwrap();
    assert_eq!(group.expect("the group").members_count, 0);
}

async fn volume(address: &str, password: &str, count: u64) {
    let client = client_of(address, root(password)).await;
    let (stream, topic) = (id("volume"), id("topic"));
    client.create_stream("volume").await.expect("a stream");
    let options = TopicCreateOptions { partitions_count: Some(1), ..Default::default() };
    client.create_topic(&stream, "topic", &options).await.expect("a topic");
    let body = vec![b'x'; 1016];
    let started = Instant::now();
    let mut sent = 0;
    while sent < count {
        let until = (sent + 1000).min(count);
        let mut batch: Vec<IggyMessage> = (sent..until)
            .map(|number| {
                let mut payload = number.to_le_bytes().to_vec();
                payload.extend_from_slice(&body);
                IggyMessage::builder().payload(payload.into()).build().expect("a message")
            })
            .collect();
        let to = Partitioning::partition_id(0);
        let answer = client.send_messages(&stream, &topic, &to, &mut batch).await.expect("sent");
        assert_eq!(answer.confirmations[0].base_offset, sent);
        sent = until;
    }
    let mib = count as f64 / 1024.0;
    println!("sent {count} messages of 1 KiB, {:.0} MiB/s", mib / started.elapsed().as_secs_f64());
    let started = Instant::now();
    let consumer = Consumer::new(Identifier::numeric(1).unwrap());
    let mut next = 0;
    while next < count {
        let strategy = PollingStrategy::offset(next);
        let polled = client
            .poll_messages(&stream, &topic, Some(0), &consumer, &strategy, 1000, false)
            .await
            .expect("polled");
        assert!(!polled.messages.is_empty());
        for message in &polled.messages {
            assert_eq!(message.header.offset, next);
            assert_eq!(message.payload[..8], next.to_le_bytes());
            assert_eq!(message.payload.len(), 1024);
            next += 1;
        }
    }
    println!("read {count} messages of 1 KiB, {:.0} MiB/s", mib / started.elapsed().as_secs_f64());
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (address, password) = (&args[1], &args[2]);
    match args[3].as_str() {
        "before" => before(address, password).await,
        "after" => after(address, password).await,
        "volume" => volume(address, password, args[4].parse().expect("a count")).await,
        other => panic!("unknown phase {other}"),
    }
    println!("done");
}
