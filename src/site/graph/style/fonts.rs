//! Faces against text: which of a family's faces a browser fetches (CSS Fonts 4, section 5).
//!
//! Knows nothing of elements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::site::links::css::{Face, Family};

/// A face: number of the sheet, and of the face in it.
pub(super) type FaceId = (usize, usize);

/// Comparisons of one character with one face for a whole page. Past that nothing more is found.
const LOOKUPS_MAX: u64 = 20_000_000;

/// The faces of a page, by family.
#[derive(Default)]
pub(super) struct Fonts<'p> {
    families: HashMap<String, Vec<Declared<'p>>>,
    /// Some rule asks for a wider or narrower face.
    pub(super) stretches: bool,
}

struct Declared<'p> {
    id: FaceId,
    face: &'p Face,
    /// Whether every client has it.
    certain: bool,
}

/// What becomes of one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    /// Every client fetches this face.
    Face(FaceId),
    /// Some clients fetch some of these.
    Perhaps(BTreeSet<FaceId>),
}

/// What text asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) weight: u16,
    pub(super) italic: bool,
}

impl<'p> Fonts<'p> {
    pub(super) fn add(&mut self, id: FaceId, face: &'p Face, certain: bool) {
        self.families
            .entry(face.family.to_lowercase())
            .or_default()
            .push(Declared {
                id,
                face,
                certain: certain && face.condition.is_none(),
            });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.families.is_empty()
    }
}

/// Looks characters up, each once in each composite.
pub(super) struct Lookup<'f, 'p> {
    fonts: &'f Fonts<'p>,
    composites: HashMap<(&'f str, Request), Composite<'f, 'p>>,
    lookups: u64,
}

impl<'f, 'p> Lookup<'f, 'p> {
    pub(super) fn new(fonts: &'f Fonts<'p>) -> Self {
        Self {
            fonts,
            composites: HashMap::new(),
            lookups: 0,
        }
    }

    /// Returns what is fetched for each character of a text.
    pub(super) fn fetched(
        &mut self,
        families: &[Family],
        request: Request,
        text: &BTreeSet<char>,
    ) -> BTreeMap<char, Fetched> {
        let mut names = Vec::new();
        for family in families {
            let Family::Named(name) = family else { break };
            // A family that is not declared may be installed: what follows depends on the client.
            let Some((name, faces)) = self.fonts.families.get_key_value(name) else {
                break;
            };
            names.push(name.as_str());
            self.composites
                .entry((name, request))
                .or_insert_with(|| Composite::new(faces, request, self.fonts.stretches));
        }
        text.iter()
            .filter_map(|character| {
                let fetched = self.character(&names, request, *character)?;
                Some((*character, fetched))
            })
            .collect()
    }

    /// Returns what is fetched for a character, by the first family that covers it.
    fn character(
        &mut self,
        names: &[&'f str],
        request: Request,
        character: char,
    ) -> Option<Fetched> {
        if !is_shown_by_text_fonts(character) {
            return None;
        }
        let mut perhaps = BTreeSet::new();
        for name in names {
            let Some(composite) = self.composites.get_mut(&(*name, request)) else {
                break;
            };
            if self.lookups > LOOKUPS_MAX {
                return None;
            }
            let cover = composite.cover(character, &mut self.lookups);
            if perhaps.is_empty()
                && cover.perhaps.is_empty()
                && let Some(certain) = cover.certain
            {
                certain.face.url.as_ref()?;
                return Some(Fetched::Face(certain.id));
            }
            let all = cover.perhaps.iter().chain(&cover.certain);
            let fetched = all.filter(|declared| declared.face.url.is_some());
            perhaps.extend(fetched.map(|declared| declared.id));
            // In a family that only some clients have, some look and the others go on.
            if cover.certain.is_some() || composite.is_uncertain {
                break;
            }
        }
        (!perhaps.is_empty()).then_some(Fetched::Perhaps(perhaps))
    }
}

/// The faces of a family that fit best and share descriptors, the last declared first: each serves
/// the characters in its range (CSS Fonts 4, section 5.3).
struct Composite<'f, 'p> {
    faces: Vec<&'f Declared<'p>>,
    /// Browsers may choose differently.
    ambiguous: bool,
    /// Not every client has the same faces.
    is_uncertain: bool,
    covers: HashMap<char, Cover<'f, 'p>>,
}

/// Which faces cover a character.
#[derive(Default)]
struct Cover<'f, 'p> {
    /// The first that every client looks into.
    certain: Option<&'f Declared<'p>>,
    /// Those before it that only some clients have.
    perhaps: Vec<&'f Declared<'p>>,
}

impl<'f, 'p> Composite<'f, 'p> {
    fn new(declared: &'f [Declared<'p>], request: Request, stretches: bool) -> Self {
        let best = declared
            .iter()
            .map(|declared| misfit(declared.face, request))
            .min();
        let faces: Vec<_> = declared
            .iter()
            .rev()
            .filter(|declared| Some(misfit(declared.face, request)) == best)
            .collect();
        let descriptors = |declared: &Declared<'_>| (declared.face.weight, declared.face.width);
        let mixed = faces
            .windows(2)
            .any(|pair| descriptors(pair[0]) != descriptors(pair[1]));
        let widths = declared
            .windows(2)
            .any(|pair| pair[0].face.width != pair[1].face.width);
        let ambiguous = mixed || (stretches && widths);
        Self {
            is_uncertain: ambiguous || faces.iter().any(|declared| !declared.certain),
            faces,
            ambiguous,
            covers: HashMap::new(),
        }
    }

    fn cover(&mut self, character: char, lookups: &mut u64) -> &Cover<'f, 'p> {
        self.covers.entry(character).or_insert_with(|| {
            let mut cover = Cover::default();
            for declared in &self.faces {
                *lookups += 1 + declared.face.unicode_range.len() as u64;
                if !covers(declared.face, character) {
                    continue;
                }
                if declared.certain && !self.ambiguous {
                    cover.certain = Some(declared);
                    break;
                }
                cover.perhaps.push(declared);
            }
            cover
        })
    }
}

/// How badly a face fits; the least fits best. Width counts before style, style before weight (CSS
/// Fonts 4, section 5.2). The width asked for is always the normal one.
fn misfit(face: &Face, request: Request) -> (bool, u16, bool, u8, u16) {
    let (narrowest, widest) = face.width;
    // Narrower faces are preferred when the normal width is asked for.
    let width = if narrowest > 100 {
        (true, narrowest - 100)
    } else {
        (false, 100_u16.saturating_sub(widest))
    };
    let (tier, distance) = weight_misfit(face.weight, request.weight);
    (
        width.0,
        width.1,
        face.italic != request.italic,
        tier,
        distance,
    )
}

fn weight_misfit((lightest, boldest): (u16, u16), wanted: u16) -> (u8, u16) {
    if (lightest..=boldest).contains(&wanted) {
        return (0, 0);
    }
    let above = lightest > wanted;
    let distance = if above {
        lightest - wanted
    } else {
        wanted - boldest
    };
    let tier = match (wanted, above) {
        // Regular and medium stand in for each other first, then lighter, then bolder faces.
        (400..=500, true) if lightest <= 500 => 1,
        (400..=500, false) => 2,
        (400..=500, true) => 3,
        (..400, _) => 1 + u8::from(above),
        _ => 2 - u8::from(above),
    };
    (tier, distance)
}

fn covers(face: &Face, character: char) -> bool {
    let code = u32::from(character);
    face.unicode_range.is_empty()
        || face
            .unicode_range
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code))
}

/// Returns whether a character makes a browser look into the listed families at all: emoji go to
/// the emoji font first, and what is invisible is not looked up.
fn is_shown_by_text_fonts(character: char) -> bool {
    !matches!(
        u32::from(character),
        0..=0x20
            | 0x7F..=0xA0
            | 0xAD
            | 0x034F
            | 0x061C
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x2000..=0x200F
            | 0x2028..=0x202F
            | 0x205F..=0x206F
            | 0x3000
            | 0x3164
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFF
            | 0x1F000..=0x1FAFF
            | 0xE0000..=0xE0FFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::links::css;

    /// Returns the URLs that are fetched for a text, with those that only some clients fetch in
    /// brackets.
    #[track_caller]
    fn check(sheet: &str, families: &str, weight: u16, italic: bool, text: &str, expected: &str) {
        let sheet = css::parse(sheet);
        let mut fonts = Fonts::default();
        for (index, face) in sheet.faces.iter().enumerate() {
            fonts.add((0, index), face, true);
        }
        let Some(css::Value::Families(families)) = css::value(&css::Property::Family, families)
        else {
            panic!("not a family list: {families}");
        };
        let text = text.chars().collect();
        let url = |id: &FaceId| sheet.faces[id.1].url.clone().unwrap_or_default();
        let mut names: Vec<_> = Lookup::new(&fonts)
            .fetched(&families, Request { weight, italic }, &text)
            .values()
            .map(|fetched| match fetched {
                Fetched::Face(id) => url(id),
                Fetched::Perhaps(ids) => format!("({})", ids.iter().map(url).collect::<String>()),
            })
            .collect();
        names.dedup();
        assert_eq!(names.join(" "), expected);
    }

    const WEIGHTS: &str = "
        @font-face { font-family: F; font-weight: 300; src: url(300.woff) }
        @font-face { font-family: F; font-weight: 400; src: url(400.woff) }
        @font-face { font-family: F; font-weight: 700; src: url(700.woff) }
        @font-face { font-family: F; font-weight: 900; src: url(900.woff) }
        @font-face { font-family: F; font-weight: 400; font-style: italic; src: url(400i.woff) }
    ";

    #[test]
    fn the_nearest_weight_is_fetched() {
        for (weight, expected) in [
            (100, "300.woff"),
            (300, "300.woff"),
            (350, "300.woff"),
            (400, "400.woff"),
            (450, "400.woff"),
            (500, "400.woff"),
            (600, "700.woff"),
            (800, "900.woff"),
            (1000, "900.woff"),
        ] {
            check(WEIGHTS, "F", weight, false, "x", expected);
        }
        check(WEIGHTS, "f, serif", 700, true, "x", "400i.woff");
    }

    #[test]
    fn ranges_of_weight_and_medium_faces_count() {
        let medium = "
            @font-face { font-family: F; font-weight: 500; src: url(500.woff) }
            @font-face { font-family: F; font-weight: 600 900; src: url(bold.woff) }
            @font-face { font-family: F; font-weight: 200; src: url(200.woff) }
        ";
        check(medium, "F", 400, false, "x", "500.woff");
        check(medium, "F", 450, false, "x", "500.woff");
        check(medium, "F", 300, false, "x", "200.woff");
        check(medium, "F", 700, false, "x", "bold.woff");
        check(medium, "F", 950, false, "x", "bold.woff");
    }

    #[test]
    fn the_first_declared_family_serves_unless_one_before_may_be_installed() {
        let sheet = "@font-face { font-family: F; src: url(f.woff) }
            @font-face { font-family: G; src: url(g.woff); unicode-range: U+41-5A }
            @font-face { font-family: L; src: local(L), url(l.woff) }";
        check(sheet, "F, Arial", 400, false, "x", "f.woff");
        check(sheet, "Arial, F", 400, false, "x", "");
        check(sheet, "sans-serif, F", 400, false, "x", "");
        check(sheet, "G, F", 400, false, "A", "g.woff");
        check(sheet, "G, F", 400, false, "Ax", "g.woff f.woff");
        check(sheet, "G, Arial, F", 400, false, "x", "");
        check(sheet, "L, F", 400, false, "x", "");
    }

    #[test]
    fn ranges_decide_among_faces_that_fit_alike() {
        let sheet = "
            @font-face { font-family: F; src: url(latin.woff) }
            @font-face { font-family: F; src: url(greek.woff); unicode-range: U+370-3FF }
        ";
        check(sheet, "F", 400, false, "a", "latin.woff");
        check(sheet, "F", 400, false, "aα", "latin.woff greek.woff");
        check(sheet, "F", 400, false, "🎉\u{200b}", "");
    }

    #[test]
    fn what_some_clients_have_is_fetched_by_some() {
        let sheet = "
            @font-face { font-family: F; src: url(a.woff) }
            @media (min-width: 1px) { @font-face { font-family: F; src: url(b.woff) } }
            @media (min-width: 1px) {
                @font-face { font-family: F; font-weight: 700; src: url(c.woff) }
            }
        ";
        check(sheet, "F", 400, false, "x", "(a.woffb.woff)");
        check(sheet, "F", 700, false, "x", "(c.woff)");
    }

    #[test]
    fn narrow_faces_do_not_serve_normal_text() {
        let sheet = "
            @font-face { font-family: F; font-stretch: 75%; src: url(narrow.woff) }
            @font-face { font-family: F; src: url(normal.woff) }
        ";
        check(sheet, "F", 400, false, "x", "normal.woff");
    }
}
