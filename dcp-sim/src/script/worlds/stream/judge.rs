//! A producer's response to one stream request, on a connection of its own, with the messages that
//! follow.

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::Vbid;

use super::connection::BROKEN;
use super::node::StreamNode;
use super::words;
use crate::producer::Producer;
use crate::script::language::Negotiated;
use crate::script::worlds::print::Output;
use crate::wire::{
    Command, Control, Frame, KeyForm, Message, Open, OpenFlags, Reply, Request, Status,
    StreamRequest,
};

pub(super) fn stream_request(
    node: &StreamNode,
    vb: Vbid,
    wanted: &StreamRequest,
    negotiated: Negotiated,
    reads: bool,
) -> Output {
    let mut producer = if negotiated.collections {
        Producer::new("judged")
    } else {
        Producer::without_collections("judged")
    };
    let lines = ask(&mut producer, node, vb, wanted, negotiated).and_then(|reply| {
        let mut lines = vec![in_words(&reply)];
        if reads {
            read(&mut producer, node, negotiated, &mut lines)?;
        }
        Ok(lines)
    });
    producer.close(node);
    lines
}

/// Reads all messages until the producer has no more.
fn read(
    producer: &mut Producer,
    node: &StreamNode,
    negotiated: Negotiated,
    lines: &mut Vec<String>,
) -> Result<(), &'static str> {
    let keys = if negotiated.collections {
        KeyForm::Collections
    } else {
        KeyForm::Bare
    };
    loop {
        let sent = producer.poll(node, 1 << 20).map_err(|_| BROKEN)?;
        let steps = producer.take_backfills();
        if sent.is_empty() && steps.is_empty() {
            return Ok(());
        }
        for step in steps {
            producer
                .backfilled(step.run(&node.engine), node)
                .map_err(|_| BROKEN)?;
        }
        let mut sent = BytesMut::from(&sent[..]);
        while let Some(frame) = Frame::decode(&mut sent).map_err(|_| BROKEN)? {
            if let Message::Request(request) = Message::decode(&frame).map_err(|_| BROKEN)? {
                lines.push(words::message(&request, keys).ok_or(BROKEN)?);
            }
        }
    }
}

fn ask(
    producer: &mut Producer,
    node: &StreamNode,
    vb: Vbid,
    wanted: &StreamRequest,
    negotiated: Negotiated,
) -> Result<Reply, &'static str> {
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"judged"),
        options: Bytes::new(),
    };
    let options = [
        ("enable_noop", negotiated.noop),
        ("enable_sync_writes", negotiated.sync_writes),
        ("enable_stream_id", negotiated.stream_ids),
    ];
    let controls = options.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| {
        Command::Control(Control {
            key: Bytes::from_static(name.as_bytes()),
            value: Bytes::from_static(b"true"),
        })
    });
    let mut bytes = Vec::new();
    let mut count = 0;
    for command in std::iter::once(Command::Open(open)).chain(controls) {
        Request::new(Vbid(0), 0, command)
            .encode(&mut bytes)
            .map_err(|_| BROKEN)?;
        count += 1;
    }
    Request::new(vb, 1, Command::StreamRequest(wanted.clone()))
        .encode(&mut bytes)
        .map_err(|_| BROKEN)?;
    producer.receive(&bytes, node).map_err(|_| BROKEN)?;
    let sent = producer.poll(node, 0).map_err(|_| BROKEN)?;
    let mut sent = BytesMut::from(&sent[..]);
    let mut next = || Frame::decode(&mut sent).map_err(|_| BROKEN)?.ok_or(BROKEN);
    // The responses to the requests before.
    for _ in 0..count {
        next()?;
    }
    match Message::decode(&next()?) {
        Ok(Message::Response(response)) => Ok(response.reply),
        _ => Err(BROKEN),
    }
}

fn in_words(reply: &Reply) -> String {
    match (reply, reply.status()) {
        (Reply::Rollback(seqno), _) => format!("rollback {seqno}"),
        (_, Status::SUCCESS) => "ok".to_owned(),
        (_, status) => format!("status {}", words::status(status)),
    }
}
