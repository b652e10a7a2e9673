//! A foreign client and the producer's end of its connection.

use bytes::{Bytes, BytesMut};
use lowtide_checkpoint::{
    FailoverEntry, Item, Key, Seqno, SnapshotMarker, SnapshotType, VbUuid, Vbid,
};

use crate::sim::foreign::client::{Client, Follow, News};
use crate::sim::foreign::position::{Manners, Seen};
use crate::sim::foreign::temper::{Asks, Prefers, Temper};
use crate::wire::{
    Command, Frame, ItemFormat, Marker, Message, Reply, Request, Response, StreamRequest,
};

pub(super) const VB: Vbid = Vbid(3);

pub(super) const NODE: usize = 1;

pub(super) fn temper() -> Temper {
    Temper {
        asks: Asks::Everything,
        prefers: Prefers::Any,
        buffer_bytes: 0,
        acknowledges_permille: 500,
        read_bytes: 100,
        pause_micros: 0,
        keeps: 100,
        manners: Manners {
            names_newest: false,
            names_range: false,
        },
        marker_v2_2: false,
        delete_times: false,
        end_on_close: false,
        one_backfill: false,
        noop: true,
        strict_uuid: false,
        detours_permille: 0,
        share_permille: 1_000,
    }
}

/// A client, and a scripted producer.
pub(super) struct Rig {
    pub(super) client: Client,
    pub(super) opaque: u32,
    pub(super) asked: Option<StreamRequest>,
    pub(super) sent: Vec<Message>,
}

impl Rig {
    pub(super) fn new(temper: Temper) -> Self {
        let mut client = Client::new("test".into(), temper, std::iter::once(VB));
        client.connected(NODE);
        let mut rig = Self {
            client,
            opaque: 0,
            asked: None,
            sent: Vec::new(),
        };
        rig.listen();
        rig
    }

    /// Reads the client's output.
    pub(super) fn listen(&mut self) {
        let mut bytes = BytesMut::from(&self.client.take_output(NODE)[..]);
        while let Some(frame) = Frame::decode(&mut bytes).expect("sound") {
            let message = Message::decode(&frame).expect("sound");
            if let Message::Request(Request {
                command: Command::StreamRequest(wanted),
                opaque,
                ..
            }) = &message
            {
                (self.opaque, self.asked) = (*opaque, Some(wanted.clone()));
            }
            self.sent.push(message);
        }
    }

    pub(super) fn say(&mut self, message: Message) -> Vec<News> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("sendable");
        let news = self.client.receive(NODE, &bytes).expect("connected");
        self.listen();
        news
    }

    pub(super) fn tell(&mut self, command: Command) -> Vec<News> {
        self.say(Request::new(VB, self.opaque, command).into())
    }

    pub(super) fn reply(&mut self, reply: Reply) -> Vec<News> {
        self.say(
            Response {
                opaque: self.opaque,
                reply,
            }
            .into(),
        )
    }

    pub(super) fn open(&mut self, log: &[(u64, u64)]) -> Vec<News> {
        self.client.ask(VB, NODE, Follow::Live).expect("connected");
        self.listen();
        let entry = |&(uuid, seqno)| FailoverEntry {
            uuid: VbUuid(uuid),
            seqno: Seqno(seqno),
        };
        self.reply(Reply::StreamAccepted(log.iter().map(entry).collect()))
    }

    pub(super) fn marker(&mut self, start: u64, end: u64) -> Vec<News> {
        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        self.tell(Command::SnapshotMarker(Marker::from_snapshot(&marker)))
    }

    pub(super) fn set(&mut self, seqno: u64, key: &str) -> Vec<News> {
        let item = Item::mutation(Key::new(key.as_bytes()), Bytes::from_static(b"v"));
        let item = Item {
            seqno: Seqno(seqno),
            rev_seqno: 1,
            ..item
        };
        let command = Command::from_item(&item, &ItemFormat::default()).expect("sendable");
        self.tell(command)
    }

    /// Returns start, snapshot and branch of the last stream request.
    pub(super) fn asked(&mut self) -> (u64, (u64, u64), u64) {
        self.client.ask(VB, NODE, Follow::Live).expect("connected");
        self.listen();
        let asked = self.asked.clone().expect("asked");
        (
            asked.start.0,
            (asked.snapshot_start.0, asked.snapshot_end.0),
            asked.uuid.0,
        )
    }

    /// Returns a client at 7, inside a snapshot 6 to 9, complete at 2 and 5.
    pub(super) fn inside(temper: Temper) -> Self {
        let mut rig = Self::new(temper);
        rig.open(&[(0xb, 4), (0xa, 0)]);
        rig.marker(0, 2);
        rig.set(1, "a");
        rig.set(2, "b");
        rig.marker(3, 5);
        rig.set(5, "a");
        rig.marker(6, 9);
        rig.set(7, "b");
        rig
    }

    pub(super) fn documents(&self) -> usize {
        self.client.standing(VB).expect("it takes it").documents
    }
}

pub(super) fn broken(news: &[News]) -> bool {
    let is_broken =
        |news: &News| matches!(news, News::Seen(_, Seen::Broken(_)) | News::Unusable(_));
    news.iter().any(is_broken)
}

pub(super) fn seen(news: Vec<News>) -> Vec<Seen> {
    let seen = news.into_iter().map(|news| match news {
        News::Seen(VB, seen) => seen,
        news => panic!("{news:?}"),
    });
    seen.collect()
}
