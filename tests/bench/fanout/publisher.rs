//! Somebody who publishes numbers on a channel.

use anyhow::bail;

use crate::board::Board;
use crate::line::Line;
use crate::wire;

/// A connection to publish over. Nobody reads it but while it waits for answers.
#[derive(Debug)]
pub(crate) struct Publisher {
    line: Line,
    request: Vec<u8>,
    next_stream: u32,
    unanswered: usize,
    answer: Vec<u8>,
}

impl Publisher {
    /// Connects.
    pub(crate) async fn new(port: u16, channel: &str) -> anyhow::Result<Self> {
        let mut line = Line::connect(port, wire::open_window(), true).await?;
        line.greeted().await?;
        let mut ack = Vec::new();
        wire::frame(&mut ack, wire::SETTINGS, wire::ACK, 0, &[]);
        line.write(&ack).await?;
        let path = format!("/channels/{channel}");
        Ok(Self {
            line,
            request: wire::fields(&[
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", &path),
                ("content-type", "text/plain"),
            ]),
            next_stream: 1,
            unanswered: 0,
            answer: Vec::new(),
        })
    }

    /// Publishes the next number of a board, once fewer than so many others are unanswered.
    pub(crate) async fn say(&mut self, board: &Board, at_once: usize) -> anyhow::Result<()> {
        self.settle(at_once - 1).await?;
        // As long as a price, whatever the number.
        let text = format!("{:08}", board.say());
        self.publish(text.as_bytes()).await
    }

    /// Publishes anything.
    pub(crate) async fn publish(&mut self, data: &[u8]) -> anyhow::Result<()> {
        let (stream, mut bytes) = (self.next_stream, Vec::new());
        let flags = wire::END_HEADERS;
        wire::frame(&mut bytes, wire::HEADERS, flags, stream, &self.request);
        wire::frame(&mut bytes, wire::DATA, wire::END_STREAM, stream, data);
        self.next_stream += 2;
        self.unanswered += 1;
        Ok(self.line.write(&bytes).await?)
    }

    /// Waits until at most so many are unanswered. Returns the end of what the last answer said.
    pub(crate) async fn settle(&mut self, unanswered_max: usize) -> anyhow::Result<String> {
        while self.unanswered > unanswered_max {
            let answer = &mut self.answer;
            let answered = self.line.read(|head, piece, _| match head.kind {
                wire::HEADERS if head.begins() => {
                    if piece.first() != Some(&wire::STATUS_OK) {
                        bail!("the server takes no event");
                    }
                    answer.clear();
                    Ok(false)
                }
                wire::DATA => {
                    answer.extend_from_slice(piece);
                    Ok(head.flags & wire::END_STREAM != 0 && head.ends_with(piece))
                }
                wire::RST_STREAM | wire::GOAWAY => bail!("the server ends a stream"),
                _ => Ok(false),
            });
            self.unanswered -= answered.await?;
        }
        Ok(String::from_utf8_lossy(&self.answer).trim().to_owned())
    }
}
