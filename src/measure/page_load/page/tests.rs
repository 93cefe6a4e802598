//! A document in flights and the files it names in; what is wanted when, and the marks, out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::site::graph::{Obstacle, Target, graph};
use crate::site::{Asset, Site, SiteUrl, UrlPath};

const ORIGIN: &str = "https://site.invalid";

/// A site: the first file is the document, and comes in flights 100 ms apart, cut at `|`. Any other
/// comes whole 100 ms after it is wanted, or as many as its heading says after `@`.
#[derive(Clone)]
struct World {
    document: Vec<Vec<u8>>,
    step_ms: u64,
    files: BTreeMap<String, (Vec<u8>, u64)>,
}

impl World {
    fn new(text: &str) -> Self {
        let mut files = text.split("//- ").skip(1).map(|file| {
            let (heading, content) = file.split_once('\n').unwrap();
            let (path, delay) = heading.split_once('@').unwrap_or((heading, "100"));
            let path = path.trim().to_owned();
            (
                path,
                (
                    content.trim().as_bytes().to_vec(),
                    delay.trim().parse().unwrap(),
                ),
            )
        });
        let (_, (document, _)) = files.next().unwrap();
        Self {
            document: document
                .split(|byte| *byte == b'|')
                .map(<[u8]>::to_vec)
                .collect(),
            step_ms: 100,
            files: files.collect(),
        }
    }

    fn load(&self, parsed: &Arc<Parsed>, preloads: &[Preload]) -> Loaded {
        let page = Page::new(Url::parse(ORIGIN).unwrap(), Arc::clone(parsed));
        let mut loaded = Loaded {
            page,
            log: String::new(),
            events: BTreeMap::new(),
            wants: Vec::new(),
        };
        for flight in 0..=self.document.len() {
            let at = self.step_ms * (flight as u64 + 1).min(self.document.len() as u64);
            loaded.events.insert((at, flight), WantId(0));
        }
        assert_eq!(loaded.page.next_want().unwrap().id, WantId(0));
        loaded.page.head(WantId(0), "text/html", 200);
        for preload in preloads {
            if let Some(want) = loaded.page.preload(preload) {
                loaded.fetch(&want, self, 0);
            }
        }
        loaded.drain(self, 0);
        while let Some(((now, number), id)) = loaded.events.pop_first() {
            loaded.happen(self, id, number, now);
            loaded.drain(self, now);
        }
        loaded
    }
}

struct Loaded {
    page: Page,
    log: String,
    /// Moment and number, for order.
    events: BTreeMap<(u64, usize), WantId>,
    wants: Vec<(String, Kind, Option<Crossorigin>)>,
}

impl Loaded {
    fn happen(&mut self, world: &World, id: WantId, number: usize, now_ms: u64) {
        let now = Duration::from_millis(now_ms);
        if id == WantId(0) {
            match world.document.get(number) {
                Some(bytes) => self.page.data(id, bytes, now),
                None => self.page.end(id, true, now),
            }
            return;
        }
        let path = self.page.want_of(id).unwrap().url.path().to_owned();
        match world.files.get(&path) {
            Some((content, _)) => {
                let content_type = mime_guess::from_path(&path).first_raw();
                self.page.head(id, content_type.unwrap_or_default(), 200);
                self.page.data(id, content, now);
            }
            None => self.page.head(id, "text/html", 404),
        }
        self.page.end(id, true, now);
    }

    fn drain(&mut self, world: &World, now_ms: u64) {
        while let Some(want) = self.page.next_want() {
            self.fetch(&want, world, now_ms);
        }
    }

    fn fetch(&mut self, want: &Want, world: &World, now_ms: u64) {
        let path = want.url.path().to_owned();
        let delay = world.files.get(&path).map_or(100, |(_, delay)| *delay);
        self.events
            .insert((now_ms + delay, 1_000_000 + want.id.0), want.id);
        write!(
            self.log,
            "{now_ms} {path} {:?} u={}",
            want.kind, want.urgency
        )
        .unwrap();
        for (is_set, mark) in [
            (want.incremental, ",i"),
            (want.blocks_render, " blocks"),
            (want.preload, " preload"),
        ] {
            self.log.push_str(if is_set { mark } else { "" });
        }
        if let Some(initiator) = want.initiator.filter(|initiator| initiator.0 > 0) {
            let initiator = &self.page.want_of(initiator).unwrap().url;
            write!(self.log, " by {}", initiator.path()).unwrap();
        }
        self.log.push('\n');
        self.wants
            .push((want.url.to_string(), want.kind, want.crossorigin));
    }

    fn marks(&self) -> String {
        let marks = self.page.marks();
        let ms = |mark: Duration| mark.as_millis();
        format!(
            "render {} largest {} load {}",
            ms(marks.first_render),
            ms(marks.largest_content),
            ms(marks.load)
        )
    }

    fn transcript(&self) -> Vec<String> {
        let lines = self.log.lines().map(str::to_owned);
        lines.chain([self.marks()]).collect()
    }
}

/// Checks a load of a page that was never seen, and one of a page that is known.
#[track_caller]
fn check(files: &str, expected: &str) {
    let (world, parsed) = (World::new(files), Arc::default());
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    for _ in 0..2 {
        assert_eq!(world.load(&parsed, &[]).transcript(), expected, "{files}");
    }
}

#[test]
fn the_scanner_looks_behind_a_script_that_stops_the_parser() {
    check(
        "//- /
        <link rel=stylesheet href=a.css><script src=slow.js></script>|
        <script>inline</script><style>@import 'b.css';</style><body><p>text</p><img src=i.png>
        <script src=late.js></script><iframe src=/f.html></iframe>
        //- /a.css
        @import 'c.css';
        //- /b.css
        //- /c.css
        //- /slow.js @400
        //- /i.png
        //- /late.js
        ",
        "100 /a.css Style u=0 blocks
        100 /slow.js Script u=1 blocks
        200 /b.css Style u=0 blocks
        200 /i.png Image u=2,i
        200 /late.js Script u=2
        200 /c.css Style u=0 blocks by /a.css
        500 /f.html Other u=0,i
        render 500 largest 500 load 600",
    );
}

#[test]
fn what_does_not_block_does_not() {
    check(
        "//- /
        <link rel=stylesheet href=p.css media=print>
        <link rel=stylesheet href=n.css media='(max-width:600px)'>
        <link rel='alternate stylesheet' href=x.css title=x>
        <script async src=a.js></script><script defer src=d.js></script>
        <script nomodule src=old.js></script><script type=module src=m.js></script>
        <p>text</p>|
        //- /p.css @900
        //- /n.css
        //- /a.js
        //- /d.js @300
        //- /m.js
        import './m2.js'; import 'bare'
        //- /m2.js
        import './m.js'; import './m3.js'
        //- /m3.js
        ",
        "100 /a.js Script u=3
        100 /d.js Script u=3
        100 /m.js Module u=1
        100 /p.css Style u=4
        100 /n.css Style u=4
        200 /m2.js Module u=1 by /m.js
        300 /m3.js Module u=1 by /m2.js
        render 100 largest 100 load 1000",
    );
}

#[test]
fn a_script_waits_for_style_sheets_before_it() {
    check(
        "//- /
        <link rel=stylesheet href=a.css></head><body><p>one</p><script src=s.js></script>
        <iframe src=f.html></iframe>
        //- /a.css @500
        //- /s.js
        //- /f.html
        ",
        "100 /a.css Style u=0 blocks
        100 /s.js Script u=1
        600 /f.html Other u=0,i
        render 600 largest 600 load 700",
    );
    check(
        "//- /
        <link rel=stylesheet href=a.css></head><script>1</script><p>one</p>
        <link rel=stylesheet href=b.css><iframe src=f.html></iframe>
        //- /a.css @300
        //- /b.css @500
        //- /f.html
        ",
        "100 /a.css Style u=0 blocks
        100 /b.css Style u=0
        600 /f.html Other u=0,i
        render 400 largest 400 load 700",
    );
}

#[test]
fn fonts_and_backgrounds_come_when_styles_apply_and_are_used() {
    check(
        "//- /
        <link rel=stylesheet href=css/a.css><body><h1>t</h1>
        <p>text<div class=b>x</div><div class=u></div>
        //- /css/a.css
        @font-face { font-family: F; src: url(f.woff2) }
        @font-face { font-family: G; src: url(g.woff2) }
        @font-face { font-family: L; src: local(L), url(l.woff2) format(woff2) }
        h1 { font-family: L } p { font-family: F }
        .b { background: url(../b.png) } .n { background: url(n.png) }
        @media (max-width: 600px) { .u { background: url(narrow.png) } }
        @media (min-width: 600px) { .u { background: url(wide.png) } }
        //- /css/f.woff2 @250
        //- /b.png
        //- /css/wide.png
        ",
        "100 /css/a.css Style u=0 blocks
        200 /css/f.woff2 Font u=0 by /css/a.css
        200 /css/l.woff2 Font u=0 by /css/a.css
        200 /b.png Image u=3,i by /css/a.css
        200 /css/wide.png Image u=3,i by /css/a.css
        render 200 largest 450 load 450",
    );
}

#[test]
fn text_does_not_wait_for_ever_for_its_font() {
    check(
        "//- /
        <style>@font-face { font-family: F; src: url(f.woff2) } p { font-family: F }</style><p>text
        //- /f.woff2 @9000
        ",
        "100 /f.woff2 Font u=0
        render 100 largest 3100 load 9100",
    );
}

#[test]
fn one_of_several_images_is_fetched() {
    check(
        "//- /
        <picture><source srcset=p.jxl type=image/jxl><source media='(max-width:9px)' srcset=s.avif>
        <source srcset='p.avif 1x, p2.avif 2x' type=image/avif><img src=p.png></picture>
        <picture><source media=print srcset=x.png><img src=q.png></picture>
        <img srcset='r400.png 400w, r900.png 900w' sizes=50vw src=r.png>
        <img src=l.png loading=lazy><img src=data:,x><img src=#><img src=t.png width=10 height=10>
        <video poster=v.jpg src=v.mp4></video><img src=https://other.invalid/o.png>
        //- /p.avif
        //- /q.png
        //- /r900.png
        //- /t.png
        //- /v.jpg
        ",
        "100 /p.avif Image u=2,i
        100 /q.png Image u=2,i
        100 /r900.png Image u=2,i
        100 /t.png Image u=3,i
        100 /v.jpg Image u=2,i
        render 200 largest 200 load 200",
    );
}

#[test]
fn what_is_left_out_is_told() {
    let world = World::new(
        "//- /
        <link rel=icon href=i.svg><img src=l.png loading=lazy><video src=v.mp4></video>
        <img src=https://other.invalid/o.png><script src=//other.invalid/s.js></script><p>text
        ",
    );
    let loaded = world.load(&Arc::default(), &[]);
    let left_out: Vec<_> = loaded
        .page
        .left_out()
        .iter()
        .map(|one| (&*one.url, one.reason))
        .collect();
    assert_eq!(
        left_out,
        [
            ("https://other.invalid/o.png", Reason::OtherOrigin),
            ("https://other.invalid/s.js", Reason::OtherOrigin),
            ("https://site.invalid/i.svg", Reason::Late),
            ("https://site.invalid/l.png", Reason::Lazy),
            ("https://site.invalid/v.mp4", Reason::Media),
        ]
    );
    assert_eq!(loaded.transcript(), ["render 100 largest 100 load 100"]);
}

#[test]
fn the_hero_is_the_image_its_author_marks_or_the_largest() {
    for (images, expected) in [
        ("<img src=a.png><img src=b.png fetchpriority=high>", 200),
        ("<img src=a.png><img src=b.png elementtiming=hero>", 200),
        (
            "<img src=a.png width=300 height=300><img src=b.png width=900 height=900>",
            200,
        ),
        ("<img src=a.png><img src=b.png>", 600),
        ("<img src=a.png width=20 height=20>", 100),
        ("<img src=a.png loading=lazy>", 100),
        ("<img src=gone.png>", 100),
    ] {
        let files = format!("//- /\n<p>text</p>{images}\n//- /a.png @500\n//- /b.png\n");
        let loaded = World::new(&files).load(&Arc::default(), &[]);
        let marks = loaded.page.marks();
        assert_eq!(
            marks.largest_content,
            Duration::from_millis(expected),
            "{images}"
        );
        assert_eq!(marks.first_render, Duration::from_millis(100), "{images}");
    }
}

#[test]
fn import_maps_bases_and_preloads_are_followed() {
    check(
        "//- /
        <link rel=preload as=font href=f.woff2>
        <link rel=preload as=image imagesrcset='s.png 1x, b.png 2x'>
        <base href=/sub/><link rel=modulepreload href=lib.js>
        <script type=importmap>{\"imports\":{\"lib\":\"./lib.js\"}}</script>
        <script type=module>import 'lib'</script>
        <style>@font-face { font-family: F; src: url(/f.woff2) } p { font-family: F }</style><p>text
        //- /f.woff2
        //- /s.png @2000
        //- /sub/lib.js @150
        import './dep.js'
        //- /sub/dep.js
        ",
        "100 /f.woff2 Font u=1 preload
        100 /s.png Image u=3,i preload
        100 /sub/lib.js Module u=1 preload
        100 /f.woff2 Font u=0
        250 /sub/dep.js Module u=1 by /sub/lib.js
        render 100 largest 200 load 350",
    );
}

fn preload(url: &str, kind: Kind, crossorigin: Option<Crossorigin>) -> Preload {
    Preload {
        url: Url::parse(ORIGIN).unwrap().join(url).unwrap(),
        kind,
        crossorigin,
        media: String::new(),
        content_type: String::new(),
        image_source_set: String::new(),
        image_sizes: String::new(),
        fetch_priority: String::new(),
    }
}

#[test]
fn a_hint_is_used_only_if_it_asks_as_the_page_does() {
    let world = World::new(
        "//- /
        <link rel=stylesheet href=a.css><script type=module src=m.js></script><img src=i.png><p>text
        //- /a.css
        @font-face { font-family: F; src: url(f.woff2) } p { font-family: F }
        //- /m.js
        //- /f.woff2
        //- /i.png
        ",
    );
    let anonymous = Some(Crossorigin::Anonymous);
    for (hint, twice) in [
        (preload("/a.css", Kind::Style, None), false),
        (preload("/a.css", Kind::Style, anonymous), true),
        (preload("/a.css", Kind::Script, None), true),
        (preload("f.woff2", Kind::Font, anonymous), false),
        (preload("f.woff2", Kind::Font, None), true),
        (preload("m.js", Kind::Module, anonymous), false),
        (preload("m.js", Kind::Script, None), true),
        (preload("i.png", Kind::Image, None), false),
    ] {
        let loaded = world.load(&Arc::default(), std::slice::from_ref(&hint));
        assert_eq!(
            loaded.wants.len(),
            if twice { 5 } else { 4 },
            "{hint:?}\n{}",
            loaded.log
        );
        assert!(loaded.log.starts_with("0 "), "{}", loaded.log);
        assert_eq!(loaded.page.is_needed(WantId(1)), !twice, "{hint:?}");
    }
    let mut hint = preload("", Kind::Image, None);
    hint.image_source_set = "i.png 1x, big.png 2x".to_owned();
    assert_eq!(world.load(&Arc::default(), &[hint.clone()]).wants.len(), 4);
    hint.media = "print".to_owned();
    let loaded = world.load(
        &Arc::default(),
        &[hint, preload("//o.invalid/x", Kind::Image, None)],
    );
    assert!(loaded.log.starts_with("100 "), "{}", loaded.log);
}

#[test]
fn bad_input_ends() {
    for (files, expected) in [
        ("//- /\n", "render 100 largest 100 load 100"),
        (
            "//- /\n<script src=s.js>",
            "render 200 largest 200 load 200",
        ),
        (
            "//- /\n<style>@import 'a.css'; p {",
            "render 200 largest 200 load 200",
        ),
        (
            "//- /\n<link rel=stylesheet href=a.css>x\n//- /a.css\n@import 'b.css';\n\
             //- /b.css\n@import 'a.css';",
            "render 300 largest 300 load 300",
        ),
        (
            "//- /\n<link rel=stylesheet href=a.png>x\n//- /a.png\n@import 'b.css';",
            "render 200 largest 200 load 200",
        ),
        (
            "//- /\n<p>text</b></p><img <script",
            "render 100 largest 100 load 100",
        ),
    ] {
        let loaded = World::new(files).load(&Arc::default(), &[]);
        assert_eq!(loaded.marks(), expected, "{files}\n{}", loaded.log);
    }
    let mut page = Page::new(Url::parse(ORIGIN).unwrap(), Arc::default());
    page.head(WantId(0), "text/html", 200);
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..100 {
        page.data(WantId(0), &megabyte, Duration::ZERO);
    }
    page.end(WantId(0), false, Duration::ZERO);
    page.end(WantId(9), true, Duration::ZERO);
    assert!(page.is_loaded());
    assert_eq!(
        page.complaint(),
        Some("https://site.invalid/ is longer than 16 MiB: what comes behind was not read")
    );
}

#[test]
fn what_is_drawn_rises_to_everything() {
    let text = "word ".repeat(400);
    let world = World::new(&format!(
        "//- /\n<link rel=stylesheet href=a.css><p>{text}|</p>\
         <img src=i.png width=600 height=400>|{text}\n//- /a.css\n//- /i.png @500\n"
    ));
    let loaded = world.load(&Arc::default(), &[]);
    let progress = loaded.page.progress();
    let moments: Vec<u128> = progress.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(moments, [200, 300, 700], "{progress:?}");
    assert!(
        progress.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "{progress:?}"
    );
    assert!((progress[2].1 - 1.0).abs() < f64::EPSILON);
    let image = progress[2].1 - progress[1].1;
    assert!((image - 240_000.0 / 720_000.0).abs() < 0.01, "{progress:?}");
}

const PIECES: &[&str] = &[
    "<link rel=stylesheet href=a.css>",
    "<link rel=stylesheet href=b.css media=print>",
    "<style>@import 'c.css'; .x { background: url(x.png) }</style>",
    "<style>@import",
    "<script src=s.js></script>",
    "<script>let a = '<img src=no.png>'</script>",
    "<script type=module src=m.js></script>",
    "<script type=module>import './n.js'</script>",
    "<script defer src=d.js></script>",
    "<body>",
    "</head>",
    "<p class=x>täxt &amp; more</p>",
    "<img src=i.png width=500 height=400>",
    "<picture><source srcset=p.webp type=image/webp><img src=p.png></picture>",
    "<base href=/b/>",
    "<div hidden><p>h",
    "<iframe src=f.html></iframe>",
    "</p></div></x",
    "<!-- <img src=c.png> -->",
    "<table><td>",
    "<",
    "|",
];

const FILES: &str = "
//- /a.css
@font-face { font-family: F; src: url(f.woff2) } p { font-family: F; background: url(bg.png) }
@import 'no.css';
//- /c.css @300
@import 'a.css';
//- /s.js @250
//- /m.js
import './n.js'
//- /n.js
//- /f.woff2 @150
//- /i.png @50
";

/// A document of pieces in any order.
fn document() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 0..14);
    pieces.prop_map(|pieces| pieces.concat().replace('|', ""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_a_document_is_cut_it_loads_the_same(
        html in document(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let whole = World { step_ms: 0, ..World::new(&format!("//- /\n{html}\n{FILES}")) };
        let text = whole.document.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let document = cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_vec()).collect();
        let cut = World { document, ..whole.clone() };
        let parsed = Arc::default();
        let (new, known) = (cut.load(&parsed, &[]), cut.load(&parsed, &[]));
        prop_assert_eq!(new.transcript(), known.transcript());
        let whole = whole.load(&Arc::default(), &[]);
        let sorted = |mut wants: Vec<_>| { wants.sort(); wants };
        prop_assert_eq!(new.marks(), whole.marks());
        prop_assert_eq!(new.page.progress(), whole.page.progress());
        prop_assert_eq!(sorted(new.wants), sorted(whole.wants));
    }

    #[test]
    fn flights_of_a_new_page_and_of_a_known_one_load_the_same(
        html in document(),
        other in document(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let mut world = World::new(&format!("//- /\n{html}\n{FILES}"));
        let text = world.document.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        world.document = cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_vec()).collect();
        let parsed = Arc::default();
        World::new(&format!("//- /\n{other}\n{FILES}")).load(&parsed, &[]);
        let new = world.load(&Arc::default(), &[]);
        prop_assert_eq!(world.load(&parsed, &[]).transcript(), new.transcript());
        prop_assert!(new.page.is_loaded());
        prop_assert_eq!(world.load(&parsed, &[]).transcript(), new.transcript());
    }
}

fn read(directory: &Path, root: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, root, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            if name.starts_with('.') {
                // It is not served.
                continue;
            }
            files.insert(format!("/{name}"), std::fs::read(&path).unwrap());
        }
    }
}

/// What the graph says of the built-in site is what a browser fetches: the same files from the
/// other end.
#[test]
fn the_built_in_site_is_loaded_as_its_graph_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("site");
    let mut files = BTreeMap::new();
    read(&root, &root, &mut files);
    let site = files.iter().fold(Site::default(), |site, (path, content)| {
        let asset = Asset::in_memory(UrlPath::parse(path).unwrap(), Bytes::from(content.clone()));
        site.with_asset(asset)
    });
    let mut compared = 0;
    let is_page = |path: &&String| {
        Path::new(path)
            .extension()
            .is_some_and(|name| name == "html")
    };
    for page in files.keys().filter(is_page) {
        let wanted = load_all(&files, page);
        let graph = graph(&site, &SiteUrl::parse(page).unwrap());
        let named = |may: fn(Option<Obstacle>) -> bool| -> BTreeSet<String> {
            let named = graph.subresources.iter().filter(|one| may(one.obstacle));
            let here = named.filter_map(|one| match &one.target {
                Target::Here(url) => Some(url.target().to_owned()),
                Target::Elsewhere(_) => None,
            });
            here.collect()
        };
        let certain = named(|obstacle| matches!(obstacle, None | Some(Obstacle::Nopush)));
        let possible = named(|obstacle| {
            !matches!(
                obstacle,
                Some(Obstacle::Lazy | Obstacle::Nomodule | Obstacle::Unused)
            )
        });
        assert!(certain.is_subset(&wanted), "{page}: {certain:?} {wanted:?}");
        assert!(
            wanted.is_subset(&possible),
            "{page}: {wanted:?} {possible:?}"
        );
        compared += certain.len();
    }
    assert!(compared > 5, "{compared}");
}

fn load_all(files: &BTreeMap<String, Vec<u8>>, path: &str) -> BTreeSet<String> {
    let url = Url::parse(ORIGIN).unwrap().join(path).unwrap();
    let mut page = Page::new(url, Arc::default());
    let mut wanted = BTreeSet::new();
    let now = Duration::ZERO;
    while let Some(want) = page.next_want() {
        let path = want.url.path();
        let content = files
            .get(path)
            .or_else(|| files.get(&format!("{path}index.html")));
        let content_type = mime_guess::from_path(path)
            .first_raw()
            .unwrap_or("text/html");
        page.head(
            want.id,
            content_type,
            if content.is_some() { 200 } else { 404 },
        );
        page.data(want.id, content.map_or(&[][..], Vec::as_slice), now);
        page.end(want.id, true, now);
        if want.id != WantId(0) {
            wanted.insert(path.to_owned());
        }
    }
    assert!(page.is_loaded() && page.complaint().is_none());
    wanted
}

#[test]
fn text_is_rendered_before_all_of_it_has_come() {
    let world = World::new(&format!(
        "//- /\n<title>t</title> <p>{}|{}</p>",
        "x".repeat(5000),
        "y"
    ));
    assert_eq!(
        world.load(&Arc::default(), &[]).marks(),
        "render 100 largest 100 load 200"
    );
}

/// Loads run on whatever thread is free.
#[test]
fn pages_can_be_sent_and_what_is_parsed_shared() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Page>();
    is_sync::<Parsed>();
}

#[test]
fn modules_that_all_import_one_another_end() {
    let (mut imports, mut files) = (String::new(), String::new());
    for number in 0..40 {
        write!(imports, "import './{number}.js';").unwrap();
    }
    for number in 0..40 {
        write!(files, "//- /{number}.js\n{imports}\n").unwrap();
    }
    let page = format!("//- /\n<p>x<script type=module src=0.js></script>\n{files}");
    let loaded = World::new(&page).load(&Arc::default(), &[]);
    assert_eq!(loaded.wants.len(), 40);
    assert_eq!(loaded.marks(), "render 100 largest 100 load 300");
}
