//! Picture of a stopped world: nodes, their vBuckets and queues, connections, disks.

use std::fmt::Write;

use lowtide_checkpoint::Seqno;

use super::observer::Silent;
use crate::node::{NodeId, Partition};
use crate::sim::error::SimError;
use crate::sim::foreign::Client;
use crate::sim::world::host::Host;
use crate::sim::world::state::World;

impl World {
    /// Runs until that number of events, or the end of the run. Returns a picture of the world at
    /// that point.
    ///
    /// # Errors
    /// [`SimError`] if the run never reaches its end or that event.
    pub fn picture_at(mut self, event: u64) -> Result<String, SimError> {
        self.stop_at = Some(event);
        let ended = self.run_events(&mut Silent);
        let mut text = String::new();
        let at = self.figures.events;
        let micros = self.clock.now_micros();
        put(&mut text, format_args!("event {at}, {micros} us"));
        for (number, host) in self.hosts.iter().enumerate() {
            self.draw_node(&mut text, number, host)?;
        }
        for (id, link) in self.links.open() {
            let (producer, consumer) = link.ends;
            let [there, back] = link.in_flight();
            put(
                &mut text,
                format_args!(
                    "connection {id}: {producer} -> {consumer}, in flight {there} and {back} bytes"
                ),
            );
        }
        for (from, to) in self.links.closed_ways() {
            put(&mut text, format_args!("closed: {from} -> {to}"));
        }
        for (number, client) in self.foreign.clients().enumerate() {
            draw_client(&mut text, number, client)?;
        }
        if let Err(error) = ended {
            put(&mut text, format_args!("then: {error}"));
        }
        Ok(text)
    }

    fn draw_node(&self, text: &mut String, number: NodeId, host: &Host) -> Result<(), SimError> {
        let state = match (host.is_up, self.is_reachable(number)?) {
            (false, _) => "down",
            (true, true) => "up",
            (true, false) => "up, cut off",
        };
        let disk = host.storage.disk.stats();
        let bytes = host.node.checkpoint_bytes();
        put(
            text,
            format_args!(
                "\nnode {number}: {state}, start {}, checkpoints {bytes} bytes, {}, disk: {} writes, {} syncs",
                host.incarnation,
                if host.node.is_idle() { "idle" } else { "busy" },
                disk.writes,
                disk.syncs
            ),
        );
        for partition in host.node.partitions() {
            self.draw_vbucket(text, number, host, partition);
        }
        Ok(())
    }

    fn draw_vbucket(&self, text: &mut String, number: NodeId, host: &Host, partition: &Partition) {
        let vbucket = &partition.vbucket;
        let vb = vbucket.id();
        let state = vbucket.state();
        let point = vbucket.resume_point();
        let should = self
            .topology
            .role(vb, number)
            .map_or("gone", |role| role.name());
        let persisted = host.node.persisted_seqno(vb).unwrap_or(Seqno::ZERO);
        let from = host
            .node
            .followed(vb)
            .map_or("no node".to_owned(), |peer| format!("node {peer}"));
        let settled = if host.node.is_settled(vb) {
            ""
        } else {
            ", unsettled"
        };
        put(
            text,
            format_args!(
                "  vBucket {vb}: {state} (should be {should}){settled}, follows {from}, at {} of {}-{}, persisted {persisted}",
                point.seqno, point.snapshot_start, point.snapshot_end
            ),
        );
        let log = vbucket.failover_log();
        let branches: Vec<_> = log
            .entries()
            .iter()
            .map(|entry| format!("{}@{}", entry.uuid, entry.seqno))
            .collect();
        put(text, format_args!("    branches: {}", branches.join(" ")));
        for line in vbucket.manager().to_string().lines() {
            put(text, format_args!("    {line}"));
        }
    }
}

fn draw_client(text: &mut String, number: usize, client: &Client) -> Result<(), SimError> {
    put(
        text,
        format_args!(
            "\nclient {number}: asks for {}",
            client.temper().asks.name()
        ),
    );
    for vb in client.vbuckets() {
        let standing = client.standing(vb)?;
        let stream = match (standing.at, standing.is_open) {
            (Some(node), true) => format!("follows node {node}"),
            (Some(node), false) => format!("requested from node {node}"),
            (None, _) => "follows no node".to_owned(),
        };
        let (start, end) = standing.snapshot;
        let whole = if standing.is_whole {
            "complete"
        } else {
            "inside"
        };
        let seqno = standing.seqno;
        let documents = standing.documents;
        put(
            text,
            format_args!(
                "  vBucket {vb}: {stream}, at {seqno} of {start}-{end}, {whole}, {documents} documents"
            ),
        );
    }
    Ok(())
}

// Writing to a string never fails.
fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}
