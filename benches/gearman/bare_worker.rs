use std::net::SocketAddr;

use bytes::Bytes;
use layshaft::gearman::{Kind, Packet};

use super::wire::Wire;

/// A worker that is nothing but its packets, for what no worker does: many grabs under way, or grabs that find nothing.
#[derive(Debug)]
pub(crate) struct BareWorker {
    wire: Wire,
}

impl BareWorker {
    /// Connects and registers functions.
    pub(crate) fn connect(server: SocketAddr, functions: &[String]) -> anyhow::Result<Self> {
        let mut worker = Self { wire: Wire::connect(server)? };
        worker.register(functions)?;
        Ok(worker)
    }

    /// Grabs where nothing waits.
    pub(crate) fn grab_nothing(&mut self) -> anyhow::Result<()> {
        self.wire.send([&Packet::request(Kind::GrabJobUniq, [])])?;
        self.wire.wait_for(Kind::NoJob, &[])
    }

    /// Takes jobs and echoes them until none is left, with so many grabs under way; returns how many it did.
    pub(crate) fn drain(&mut self, grabs: usize) -> anyhow::Result<usize> {
        let grab = Packet::request(Kind::GrabJobUniq, []);
        self.wire.send(std::iter::repeat_n(&grab, grabs))?;
        let mut answers = Vec::new();
        let (mut under_way, mut done) = (grabs, 0);
        while under_way > 0 {
            let mut next = Some(self.wire.packet()?);
            while let Some(packet) = next {
                if packet.kind == Kind::JobAssignUniq {
                    done += 1;
                    let arguments = [packet.argument(0).clone(), packet.argument(3).clone()];
                    answers.push(Packet::request(Kind::WorkComplete, arguments));
                    answers.push(grab.clone());
                } else {
                    under_way -= 1;
                }
                next = self.wire.packet_at_hand()?;
            }
            self.wire.send(&answers)?;
            answers.clear();
        }
        Ok(done)
    }

    fn register(&mut self, functions: &[String]) -> anyhow::Result<()> {
        let can_do = |name: &String| Packet::request(Kind::CanDo, [Bytes::copy_from_slice(name.as_bytes())]);
        let packets: Vec<Packet> = functions.iter().map(can_do).collect();
        self.wire.send(&packets)
    }
}
