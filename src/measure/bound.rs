//! What sending ahead can be worth at most: the formulas F1 to F11, in the order of their names.
//!
//! They know of a link and of a page as a few numbers. What they say is printed beside what was
//! attained, and checks the simulated loads; nothing is ever simulated with them. F1 to F3 are
//! those of Bergan, Pelchat and Buettner ("Rules of Thumb for HTTP/2 Push", 2016), the others
//! derived.

use std::time::Duration;

/// Payload of a packet, in bytes: 1,500 less the headers of IPv4 and TCP.
pub const SEGMENT: f64 = 1460.0;
/// Bytes that may leave before the first acknowledgement: ten segments (RFC 6928).
pub const FIRST_FLIGHT: f64 = 10.0 * SEGMENT;

/// A page on a link, as the formulas see them. Seconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// r: the round-trip time.
    pub round_trip: f64,
    /// b: bytes per second towards the client; infinite if the link is not limited.
    pub rate: f64,
    /// The congestion window as the response begins, in bytes: [`FIRST_FLIGHT`] on a cold
    /// connection, more if the handshake has opened it; infinite on a warm one.
    pub window: f64,
    /// c: until the request leaves, from the start of the navigation.
    pub setup: f64,
    /// Z: server think time before the first byte of the document.
    pub think: f64,
    /// D: client delay from bytes arriving to a request leaving.
    pub client_delay: f64,
    /// H: the document.
    pub html: f64,
    /// C: everything else that the first render waits for.
    pub critical: f64,
}

/// A level of a chain of resources, each named by the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// D: client delay before the request of this level leaves, in seconds.
    pub client_delay: f64,
    /// P: bytes that the server has to send anyway after the byte that reveals this level.
    pub queued: f64,
}

impl Terms {
    /// F1. Returns the bytes that fit between the document and the first request that it causes.
    pub fn pushable(&self) -> f64 {
        ((self.rate * self.round_trip).min(self.window) - self.html).max(0.0)
    }

    /// F2. Returns the seconds until all that is critical is there if nothing is pushed: the
    /// request for it leaves as the document begins to arrive.
    pub fn without_push(&self) -> f64 {
        let asked = (self.round_trip + self.client_delay).max(self.html / self.rate);
        self.setup + self.round_trip + asked + self.critical / self.rate
    }

    /// F3. Returns the same if everything critical is pushed after the document, on a warm
    /// connection.
    pub fn with_push(&self) -> f64 {
        self.setup + self.round_trip + (self.html + self.critical) / self.rate
    }

    /// F4. Returns the seconds that pushing one resource gains: the round trip to ask for it, less
    /// what the server has to send meanwhile.
    ///
    /// - `queued`: P, bytes at the server ahead of the resource after the byte that reveals it.
    ///   For a link in the head, the document but its first packet; for one at the end, what was
    ///   pushed.
    pub fn push_gain(&self, queued: f64) -> f64 {
        self.chain_gain(&[Level {
            client_delay: self.client_delay,
            queued,
        }])
    }

    /// F5. Returns the seconds that pushing a whole chain gains: F4 for each level. While little is
    /// queued it grows with the round trip, by one for each hidden level.
    pub fn chain_gain(&self, levels: &[Level]) -> f64 {
        levels
            .iter()
            .map(|level| (self.round_trip + level.client_delay - level.queued / self.rate).max(0.0))
            .sum()
    }

    /// F6. Returns the most seconds that pushing the critical bytes gains on a cold connection:
    /// what does not fit into its first window leaves with the first acknowledgement, just when
    /// the client would ask.
    pub fn cold_gain_max(&self) -> f64 {
        let gain = self.push_gain((self.html - SEGMENT).max(0.0));
        let room = (self.window - self.html).max(0.0);
        if self.critical <= room {
            return gain;
        }
        gain.min(self.client_delay + room / self.rate)
    }

    /// F7. Returns the seconds by which the first render is earlier if pushes interrupt the
    /// document instead of following it.
    ///
    /// - `head`: bytes of the document before the interruption, no less than to the last critical
    ///   link.
    pub fn interleave_gain(&self, head: f64) -> f64 {
        (self.html - head).max(0.0) / self.rate
    }

    /// F8. Returns the seconds lost against no push if bytes that are not critical, or that the
    /// client holds, are pushed ahead of what is, by a server that sends in order.
    ///
    /// - `waste`: X, those bytes; of a push that is cancelled, what leaves before the reset
    ///   arrives.
    pub fn waste_loss(&self, waste: f64) -> f64 {
        let asked = (self.round_trip + self.client_delay).max(self.html / self.rate);
        ((self.html + waste) / self.rate - asked).max(0.0)
    }

    /// F8. Returns the seconds lost against pushing the critical bytes first.
    pub fn misorder_loss(&self, waste: f64) -> f64 {
        waste / self.rate
    }

    /// F9. Returns the seconds that 103 Early Hints gain during think time, for a small document:
    /// none without think time.
    pub fn hints_gain(&self) -> f64 {
        let asked = self.round_trip + self.client_delay + self.critical / self.rate;
        self.think.min(asked)
    }

    /// F9. Returns the seconds that pushing during think time gains, for a small document.
    pub fn think_push_gain(&self) -> f64 {
        let asked = self.round_trip + self.client_delay;
        (self.think + asked).min(asked + self.critical / self.rate)
    }

    /// F10. Returns the seconds that an urgent resource waits behind bytes that have left the
    /// server's hands.
    ///
    /// - `queued`: Q, bytes beyond the congestion window in send buffer and bottleneck queue.
    pub fn send_buffer_delay(&self, queued: f64) -> f64 {
        queued / self.rate
    }

    /// F11. Returns the seconds before which no plan can render: every critical byte passes the
    /// link, in as many rounds of slow start as that takes, and the document only after think time.
    pub fn lower_bound(&self) -> f64 {
        let first_byte = self.setup + self.round_trip;
        let bytes = self.html + self.critical;
        let by_rate = bytes / self.rate;
        let by_window = self.round_trip * (rounds(bytes, self.window) - 1.0).max(0.0);
        let by_think = self.think + self.html / self.rate;
        first_byte + by_rate.max(by_window).max(by_think)
    }

    /// Returns F11 as a duration, for [`Cell::bound`](super::findings::Cell::bound); `None` if the
    /// link carries nothing.
    pub fn first_render_bound(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.lower_bound()).ok()
    }
}

/// Returns the round trips of slow start that bytes take, with the window doubling each time; at
/// least 1.
fn rounds(bytes: f64, window: f64) -> f64 {
    (bytes / window + 1.0).log2().ceil().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: f64 = 1024.0;

    /// Warm connections of the published measurements, with rates as measured.
    fn warm(round_trip: f64, kilobits: f64, html: f64) -> Terms {
        Terms {
            round_trip,
            rate: kilobits * 1000.0 / 8.0,
            window: f64::INFINITY,
            setup: 0.0,
            think: 0.0,
            client_delay: 0.0,
            html: html * KIB,
            critical: 10.0 * KIB,
        }
    }

    fn india_2g(html: f64) -> Terms {
        warm(1.420, 113.0, html)
    }

    fn india_3g(html: f64) -> Terms {
        warm(0.209, 1360.0, html)
    }

    #[track_caller]
    fn check(got: f64, expected: f64, tolerance: f64) {
        assert!(
            (got - expected).abs() <= tolerance,
            "{got} is not {expected}"
        );
    }

    /// V5.
    #[test]
    fn f2_and_f3_predict_what_was_published() {
        for (terms, percent) in [
            (india_2g(5.0), 29.5),
            (india_3g(5.0), 37.6),
            (india_3g(20.0), 18.9),
        ] {
            let gain = 1.0 - terms.with_push() / terms.without_push();
            check(gain * 100.0, percent, 0.5);
        }
    }

    #[test]
    fn f1_fills_what_the_document_leaves_of_the_link_or_the_first_flight() {
        check(india_3g(5.0).pushable() / KIB, 34.7 - 5.0, 0.1);
        check(india_3g(40.0).pushable(), 0.0, 0.0);
        let cold = Terms {
            window: FIRST_FLIGHT,
            ..india_3g(5.0)
        };
        check(cold.pushable(), 14_600.0 - 5.0 * KIB, 1e-9);
        let unlimited = Terms {
            rate: f64::INFINITY,
            ..cold
        };
        check(unlimited.pushable(), cold.pushable(), 1e-9);
    }

    /// T1, warm, with one client delay for all.
    #[test]
    fn f4_meets_the_measured_gains() {
        let measured = [
            (india_3g(5.0), 284.0),
            (india_3g(20.0), 217.0),
            (india_3g(40.0), 82.0),
            (india_3g(80.0), -6.0),
            (india_3g(200.0), -8.0),
            (india_2g(5.0), 1185.0),
            (india_2g(20.0), 121.0),
            (india_2g(40.0), -23.0),
            (india_2g(80.0), -11.0),
            (india_2g(200.0), -2.0),
        ];
        let squares: f64 = measured
            .iter()
            .map(|(terms, gain)| {
                let terms = Terms {
                    client_delay: 0.070,
                    ..*terms
                };
                (terms.push_gain(terms.html - SEGMENT) * 1e3 - gain).powi(2)
            })
            .sum();
        let error = (squares / 10.0).sqrt();
        assert!(error < 30.0, "root mean square error {error} ms");
    }

    /// V6.
    #[test]
    fn f5_grows_by_one_round_trip_for_each_hidden_level() {
        for depth in 1..=4 {
            let levels = vec![
                Level {
                    client_delay: 0.0,
                    queued: 0.0,
                };
                depth
            ];
            let gain = |round_trip| warm(round_trip, 10_000.0, 1.0).chain_gain(&levels);
            let slope = (gain(0.4) - gain(0.01)) / (0.4 - 0.01);
            check(slope, f64::from(u8::try_from(depth).unwrap()), 1e-9);
        }
        let hidden = [
            Level {
                client_delay: 0.05,
                queued: 0.0,
            },
            Level {
                client_delay: 0.0,
                queued: 1e9,
            },
        ];
        check(india_3g(5.0).chain_gain(&hidden), 0.259, 1e-9);
    }

    /// T1, cold, as far as the formula goes: within the noise of 3 %, no gain is larger.
    #[test]
    fn f6_is_no_less_than_the_measured_gains() {
        let measured = [
            (india_3g(5.0), 1231.0, 1097.0),
            (india_3g(20.0), 1233.0, 1175.0),
            (india_3g(40.0), 1344.0, 1349.0),
            (india_3g(80.0), 1532.0, 1537.0),
            (india_3g(200.0), 2120.0, 2134.0),
            (india_2g(5.0), 7240.0, 6721.0),
            (india_2g(20.0), 7760.0, 7781.0),
            (india_2g(40.0), 9136.0, 9164.0),
            (india_2g(80.0), 11813.0, 11832.0),
            (india_2g(200.0), 19930.0, 19953.0),
        ];
        for (terms, none, push) in measured {
            let terms = Terms {
                client_delay: 0.070,
                window: FIRST_FLIGHT,
                ..terms
            };
            let most = terms.cold_gain_max() * 1e3 + 0.03 * none;
            assert!(none - push <= most, "{none} - {push} > {most}");
        }
        let all_fits = Terms {
            window: FIRST_FLIGHT,
            critical: 5.0 * KIB,
            ..india_3g(1.0)
        };
        check(all_fits.cold_gain_max(), 0.209, 1e-9);
    }

    #[test]
    fn f7_gains_what_of_the_document_comes_later() {
        check(
            india_3g(200.0).interleave_gain(2.0 * KIB),
            198.0 * KIB / 170e3,
            1e-9,
        );
        check(india_3g(1.0).interleave_gain(2.0 * KIB), 0.0, 0.0);
    }

    /// V7: an image of 300 KB ahead of the style sheet.
    #[test]
    fn f8_loses_what_was_in_the_way() {
        let terms = india_3g(5.0);
        let waste = 300.0 * KIB;
        check(terms.waste_loss(waste), 305.0 * KIB / 170e3 - 0.209, 1e-9);
        check(terms.misorder_loss(waste), 300.0 * KIB / 170e3, 1e-9);
        check(terms.waste_loss(10.0 * KIB), 0.0, 0.0);
    }

    /// V9.
    #[test]
    fn f9_needs_think_time_for_hints_and_not_for_pushes() {
        let gains = |think| {
            let terms = Terms {
                think,
                ..india_3g(1.0)
            };
            (terms.hints_gain(), terms.think_push_gain())
        };
        let critical = 10.0 * KIB / 170e3;
        check(gains(0.0).0, 0.0, 0.0);
        check(gains(0.0).1, 0.209, 1e-9);
        check(gains(0.05).0, 0.05, 1e-9);
        check(gains(0.05).1, 0.259, 1e-9);
        check(gains(0.5).0, 0.209 + critical, 1e-9);
        check(gains(0.5).1, 0.209 + critical, 1e-9);
    }

    /// V12: 435 KB of send buffer, of which one window of 35 KB is under way.
    #[test]
    fn f10_is_the_two_and_a_half_seconds_of_a_bloated_buffer() {
        check(india_3g(5.0).send_buffer_delay(400e3), 2.5, 0.25);
    }

    #[test]
    fn f11_is_no_more_than_a_push_that_fills_the_link() {
        let terms = india_3g(20.0);
        check(terms.lower_bound(), terms.with_push(), 1e-9);
        let cold = Terms {
            window: FIRST_FLIGHT,
            rate: f64::INFINITY,
            setup: 0.2,
            round_trip: 0.1,
            html: 50_000.0,
            critical: 0.0,
            ..terms
        };
        // 14,600 + 29,200 + 6,200: three flights, two round trips after the first byte.
        check(cold.lower_bound(), 0.2 + 0.1 + 0.2, 1e-9);
        let thinking = Terms { think: 3.0, ..cold };
        check(thinking.lower_bound(), 3.3, 1e-9);
        let dead = Terms { rate: 0.0, ..terms };
        assert_eq!(dead.first_render_bound(), None);
        assert_eq!(rounds(0.0, FIRST_FLIGHT).to_bits(), 1.0_f64.to_bits());
    }
}
