//! What happens between two hosts, event by event: packets arrive, hosts answer, clocks run out.
//!
//! Nothing runs by itself: whoever asks says what time it is, and everything that happens until
//! then happens, in order, at its exact moment. The bytes themselves stay where they were written
//! until they are read; what travels are their numbers.
//!
//! ```text
//!            flow 0: sender --segments--> wires[0] --> receiver      (and its reader)
//!   server           sender <--ACKs------ wires[1] <-- receiver               client
//!            flow 1: the same the other way round; segments carry ACKs too
//! ```
//!
//! Knows neither tasks' reasons nor TLS nor HTTP. Read on in `wire`, `sender` and `receiver`.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::options::{LinkOptions, SendBuffer};
use super::receiver::Receiver;
use super::sender::Sender;
use super::window::Window;
use super::wire::{Packet, Wire};
use super::{Direction, Progress, Span};

/// Both directions between two hosts, as of their last event.
#[derive(Debug)]
pub(super) struct Path {
    now: Instant,
    wires: [Wire; 2],
    flows: [Flow; 2],
}

/// One direction's bytes.
#[derive(Debug)]
pub(super) struct Flow {
    buffer: SendBuffer,
    sender: Sender,
    receiver: Receiver,
    /// What was written and not read.
    bytes: VecDeque<u8>,
    read: u64,
    pub(super) sent: Progress,
    pub(super) delivered: Progress,
    /// The reader is gone.
    abandoned: bool,
    /// A writer was told to wait, and waits until there is room worth the while.
    refused: bool,
    reader: Option<Waker>,
    /// When the reader looks again by itself.
    reader_alarm: Option<Instant>,
    writer: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Arrival,
    /// A sender that waited for its wire goes on.
    Departure,
    Acknowledgement,
    Timeout,
}

impl Path {
    /// Returns the path of a connection that was just opened.
    pub(super) fn new(options: &LinkOptions) -> Self {
        let now = Instant::now();
        let rates = [options.down, options.up];
        Self {
            now,
            wires: [0, 1].map(|way| Wire::new(options, rates[way], way as u64, now)),
            flows: [(); 2].map(|()| Flow::new(options, now)),
        }
    }

    /// Returns one direction's bytes.
    pub(super) fn flow(&self, way: Direction) -> &Flow {
        &self.flows[way as usize]
    }

    /// Returns how many packets one direction has lost.
    pub(super) fn dropped(&self, way: Direction) -> u64 {
        self.wires[way as usize].dropped()
    }

    /// Lets everything happen that happens until `now`, in order.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some((at, way, event)) = self.next_event() {
            if at > now {
                break;
            }
            self.now = self.now.max(at);
            match event {
                Event::Arrival => self.arrive(way),
                Event::Departure => self.depart(way),
                Event::Acknowledgement => self.acknowledge(way),
                Event::Timeout => {
                    self.flows[way].sender.time_out();
                    self.depart(way);
                }
            }
        }
        self.now = self.now.max(now);
        self.flows.iter_mut().for_each(Flow::wake);
    }

    /// Takes bytes as far as there is room; returns how many, 0 if the writer has to wait.
    pub(super) fn write(&mut self, way: Direction, bytes: &[u8]) -> usize {
        let flow = &mut self.flows[way as usize];
        let length = flow.room().min(bytes.len());
        if length > 0 {
            flow.bytes.extend(&bytes[..length]);
            flow.sender.accept(length as u64, self.now);
            self.feed(way);
        }
        length
    }

    /// Hears that no more bytes will be written.
    pub(super) fn shut(&mut self, way: Direction) {
        let flow = &mut self.flows[way as usize];
        if !flow.sender.is_shut() {
            flow.sender.shut();
            self.feed(way);
        }
    }

    /// Hears that nobody reads any more.
    pub(super) fn abandon(&mut self, way: Direction) {
        let flow = &mut self.flows[way as usize];
        flow.abandoned = true;
        flow.writer.take().into_iter().for_each(Waker::wake);
    }

    /// Reads what is there; returns how many bytes, or `None` if the reader has to wait.
    pub(super) fn read(&mut self, way: Direction, into: &mut [u8]) -> Option<usize> {
        let flow = &mut self.flows[way as usize];
        let there = usize::try_from(flow.readable()).unwrap_or(usize::MAX);
        let length = there.min(into.len());
        if length == 0 {
            return (flow.has_ended() || into.is_empty()).then_some(0);
        }
        let (front, back) = flow.bytes.as_slices();
        let of_front = front.len().min(length);
        into[..of_front].copy_from_slice(&front[..of_front]);
        into[of_front..length].copy_from_slice(&back[..length - of_front]);
        flow.bytes.drain(..length);
        flow.read += length as u64;
        Some(length)
    }

    /// Notes who waits for bytes; returns when to look again, if that is known.
    pub(super) fn await_bytes(&mut self, way: Direction, context: &Context<'_>) -> Option<Instant> {
        let alarm = self.next_readable(way as usize);
        let flow = &mut self.flows[way as usize];
        note(&mut flow.reader, context);
        flow.reader_alarm = alarm;
        alarm
    }

    /// Notes who waits for room; returns when to look again, if that is known.
    pub(super) fn await_room(&mut self, way: Direction, context: &Context<'_>) -> Option<Instant> {
        let flow = &mut self.flows[way as usize];
        flow.refused = true;
        note(&mut flow.writer, context);
        self.next_room(way as usize)
    }

    /// Lets what was just handed over leave, and tells the reader when to look.
    fn feed(&mut self, way: Direction) {
        let way = way as usize;
        self.depart(way);
        // Without distance or rate it has arrived already.
        self.advance(self.now);
        if self.flows[way].reader.is_some() {
            let next = self.next_readable(way);
            let flow = &mut self.flows[way];
            let is_sooner =
                next.is_some_and(|next| flow.reader_alarm.is_none_or(|alarm| next < alarm));
            if is_sooner {
                flow.reader.take().into_iter().for_each(Waker::wake);
            }
        }
    }

    /// Returns what happens next, and in which direction.
    fn next_event(&self) -> Option<(Instant, usize, Event)> {
        let mut next: Option<(Instant, usize, Event)> = None;
        let mut consider = |at: Option<Instant>, way, event| {
            if let Some(at) = at
                && next.is_none_or(|(sooner, ..)| at < sooner)
            {
                next = Some((at, way, event));
            }
        };
        for (way, (wire, flow)) in self.wires.iter().zip(&self.flows).enumerate() {
            let arrival = wire.packets().front().map(|&(at, _)| at);
            consider(arrival, way, Event::Arrival);
            let waits = wire.is_felt() && flow.sender.is_ready();
            let departure = waits.then(|| wire.busy_until().max(self.now));
            consider(departure, way, Event::Departure);
            consider(flow.receiver.deadline(), way, Event::Acknowledgement);
            consider(flow.sender.deadline(), way, Event::Timeout);
        }
        next
    }

    fn arrive(&mut self, way: usize) {
        let Some(packet) = self.wires[way].arrive() else {
            return;
        };
        if let Some(segment) = packet.segment {
            self.flows[way].receive(segment, self.now);
        }
        let back = 1 - way;
        self.flows[back]
            .sender
            .hear(&packet.acknowledgement, self.now);
        self.depart(back);
        let is_due = |at| at <= self.now;
        if self.flows[way].receiver.deadline().is_some_and(is_due) {
            self.acknowledge(way);
        }
    }

    /// Lets leave what may.
    fn depart(&mut self, way: usize) {
        loop {
            let wire = &self.wires[way];
            if wire.is_felt() && wire.busy_until() > self.now {
                return;
            }
            let flow = &mut self.flows[way];
            let Some((segment, is_new)) = flow.sender.send(self.now) else {
                return;
            };
            let payload_bytes = flow.sender.payload_bytes(segment);
            if is_new {
                flow.sent.add(self.now, payload_bytes);
            }
            let packet = Packet {
                segment: Some(segment),
                acknowledgement: self.flows[1 - way].receiver.acknowledge(),
            };
            self.wires[way].offer(packet, payload_bytes, self.now);
        }
    }

    /// Says what has arrived of a direction, in a packet of its own.
    fn acknowledge(&mut self, way: usize) {
        let packet = Packet {
            segment: None,
            acknowledgement: self.flows[way].receiver.acknowledge(),
        };
        self.wires[1 - way].offer(packet, 0, self.now);
    }

    /// Returns when a reader that found nothing should look again.
    fn next_readable(&self, way: usize) -> Option<Instant> {
        let flow = &self.flows[way];
        let next = flow.receiver.next();
        if next >= flow.sender.end() {
            return None;
        }
        let is_next = |packet: &Packet| packet.segment.is_some_and(|segment| segment.start == next);
        let packets = self.wires[way].packets();
        let arrival = packets.iter().find(|(_, packet)| is_next(packet));
        arrival.map_or_else(|| self.next_event().map(|(at, ..)| at), |&(at, _)| Some(at))
    }

    /// Returns when a writer that found no room should look again: rather early than late.
    fn next_room(&self, way: usize) -> Option<Instant> {
        let soon = || self.next_event().map(|(at, ..)| at);
        if self.wires[way].is_felt() {
            return soon();
        }
        let flow = &self.flows[way];
        let enough = flow.sender.acknowledged() + flow.missing().div_ceil(2);
        let packets = self.wires[1 - way].packets();
        let opens = |packet: &Packet| packet.acknowledgement.until >= enough;
        let opening = packets.iter().find(|(_, packet)| opens(packet));
        opening
            .or(packets.back())
            .map_or_else(soon, |&(at, _)| Some(at))
    }
}

impl Flow {
    fn new(options: &LinkOptions, now: Instant) -> Self {
        let window = Window::new(options.first_flight_segments);
        Self {
            buffer: options.send_buffer,
            sender: Sender::new(window, options.handshake_time(), now),
            receiver: Receiver::default(),
            bytes: VecDeque::new(),
            read: 0,
            sent: Progress::default(),
            delivered: Progress::default(),
            abandoned: false,
            refused: false,
            reader: None,
            reader_alarm: None,
            writer: None,
        }
    }

    /// Returns whether writing is pointless.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_shut() || self.abandoned
    }

    fn receive(&mut self, segment: Span, now: Instant) {
        let before = self.arrived();
        self.receiver.receive(segment, now);
        self.delivered.add(now, self.arrived() - before);
    }

    /// Bytes that have arrived in order.
    fn arrived(&self) -> u64 {
        self.receiver.next().min(self.sender.accepted())
    }

    fn readable(&self) -> u64 {
        self.arrived() - self.read
    }

    fn has_ended(&self) -> bool {
        self.receiver.next() > self.sender.accepted()
    }

    /// Bytes that the sender's buffer holds, as its limit counts them, and the limit.
    fn held(&self) -> (u64, u64) {
        let (held, max) = match self.buffer {
            SendBuffer::NotSentLowat(max) => (self.sender.unsent(), max),
            SendBuffer::Whole(max) => {
                let known = self.sender.acknowledged().min(self.sender.accepted());
                (self.sender.accepted() - known, max)
            }
        };
        (held, u64::try_from(max.max(1)).unwrap_or(u64::MAX))
    }

    /// Bytes that have to leave the buffer before a writer that waits is woken: Linux wakes it when
    /// half of what may be unsent is (`tcp_stream_memory_free`), or a third of the whole is free
    /// (`sk_stream_is_writeable`).
    fn missing(&self) -> u64 {
        let (held, max) = self.held();
        let wake_at = match self.buffer {
            SendBuffer::NotSentLowat(_) => max / 2,
            SendBuffer::Whole(_) => max / 3 * 2,
        };
        held.saturating_sub(wake_at)
    }

    fn room(&mut self) -> usize {
        if self.refused && self.missing() > 0 {
            return 0;
        }
        self.refused = false;
        let (held, max) = self.held();
        usize::try_from(max.saturating_sub(held)).unwrap_or(usize::MAX)
    }

    /// Wakes who no longer has to wait.
    fn wake(&mut self) {
        if self.reader.is_some() && (self.readable() > 0 || self.has_ended()) {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        if self.writer.is_some() && self.missing() == 0 {
            self.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

fn note(waiting: &mut Option<Waker>, context: &Context<'_>) {
    match waiting {
        Some(waker) => waker.clone_from(context.waker()),
        None => *waiting = Some(context.waker().clone()),
    }
}
