//! What becomes of what has gathered for a subscriber that is slow, channel by channel.
//!
//! One who hears several channels is served by each one's own rule, in one order: of a ticker they
//! get the last price, of a chat every word. A rule is for those who stay (event streams, lines,
//! `WebSocket`s); a poll is answered with all that it asks for.

use super::topic::Prefix;
use crate::hub::{BEHIND_MAX, Slow, SlowTest};

/// The policies, and their words.
const POLICIES: [(&str, Slow); 3] = [
    ("catch-up", Slow::CatchUp),
    ("latest", Slow::Latest),
    (
        "close",
        Slow::Close {
            behind_max: BEHIND_MAX,
        },
    ),
];

/// A policy, and the channels it is for: `stock/*=latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowRule {
    /// The channels.
    pub prefix: Prefix,
    /// What becomes of what has gathered.
    pub slow: Slow,
}

impl SlowRule {
    /// Reads `PREFIX=POLICY`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FIX: &str = "write PREFIX=POLICY, and catch-up, latest or close as the policy";
        let (prefix, word) = text
            .rsplit_once('=')
            .ok_or_else(|| format!("`{}` names no policy: {FIX}", text.escape_debug()))?;
        let prefix = Prefix::parse(prefix)?;
        let known = POLICIES.iter().find(|(known, _)| *known == word);
        let slow = known.map(|&(_, slow)| slow);
        let slow = slow.ok_or_else(|| format!("`{}` is no policy: {FIX}", word.escape_debug()))?;
        Ok(Self { prefix, slow })
    }
}

/// Rules, of which the one with the longest prefix that covers a channel counts, in whatever order
/// they were given; one that names the channel alone goes before all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlowRules {
    /// The most exact first.
    rules: Vec<SlowRule>,
}

impl SlowRules {
    /// Returns the rules in force.
    ///
    /// # Errors
    /// Two are for the same channels, and differ: a sentence that says so.
    pub fn new(mut rules: Vec<SlowRule>) -> Result<Self, String> {
        let exactness = |rule: &SlowRule| match &rule.prefix {
            Prefix::Only(_) => usize::MAX,
            Prefix::Below(start) => start.len(),
        };
        rules.sort_by_key(|rule| std::cmp::Reverse(exactness(rule)));
        for (at, rule) in rules.iter().enumerate() {
            let is_other =
                |other: &SlowRule| other.prefix == rule.prefix && other.slow != rule.slow;
            if rules[at..].iter().any(is_other) {
                return Err(format!(
                    "`{}` is given two policies: leave one",
                    rule.prefix
                ));
            }
        }
        Ok(Self { rules })
    }

    /// Returns the policy of a channel.
    pub fn of(&self, topic: &str) -> Slow {
        let rule = self.rules.iter().find(|rule| rule.prefix.covers(topic));
        rule.map_or(Slow::CatchUp, |rule| rule.slow)
    }

    /// Returns what tells the policy of a channel; nothing if all have the usual one.
    pub fn test(&self) -> Option<SlowTest> {
        let is_usual = |rule: &SlowRule| rule.slow == Slow::CatchUp;
        if self.rules.iter().all(is_usual) {
            return None;
        }
        let rules = self.clone();
        Some(SlowTest::new(move |topic| rules.of(topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Result<SlowRules, String> {
        let rules = texts.iter().map(|text| SlowRule::parse(text));
        SlowRules::new(rules.collect::<Result<_, _>>()?)
    }

    #[test]
    fn the_longest_prefix_counts_whatever_the_order() {
        let close = Slow::Close {
            behind_max: BEHIND_MAX,
        };
        let mut texts = [
            "*=close",
            "stock/*=latest",
            "stock/ibm/*=catch-up",
            "stock/x=close",
        ];
        for _ in 0..texts.len() {
            texts.rotate_left(1);
            let rules = rules(&texts).unwrap();
            for (topic, slow) in [
                ("chat", close),
                ("stock", close),
                ("stock/x", close),
                ("stock/x/y", Slow::Latest),
                ("stock/ibm", Slow::Latest),
                ("stock/ibm/bid", Slow::CatchUp),
            ] {
                assert_eq!(rules.of(topic), slow, "{topic} {texts:?}");
            }
        }
        assert_eq!(rules(&["a=b=latest"]).unwrap().of("a=b"), Slow::Latest);
        assert_eq!(SlowRules::default().of("chat"), Slow::CatchUp);
        assert!(rules(&["*=catch-up"]).unwrap().test().is_none());
        assert_eq!(
            rules(&["a=latest"]).unwrap().test().unwrap().of("a"),
            Slow::Latest
        );
    }

    #[test]
    fn what_is_no_rule_is_told_with_what_would_be() {
        for (texts, said) in [
            (&["news"][..], "PREFIX=POLICY"),
            (&["news="], "catch-up, latest or close"),
            (&["news=Latest"], "catch-up, latest or close"),
            (&["=latest"], "name channels"),
            (&["a*b=latest"], "at the end"),
            (&["a/*=latest", "a/*=close"], "two policies"),
        ] {
            let wrong = rules(texts).unwrap_err();
            assert!(wrong.contains(said), "{texts:?}: {wrong}");
        }
        rules(&["a/*=latest", "a/*=latest"]).unwrap();
    }
}
