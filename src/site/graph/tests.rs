//! A site in, a list out.

mod styles;

use std::fmt::Write as _;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::site::Asset;

/// Builds a site from `//- /path` headings, each with a file's content below.
fn site(files: &str) -> Site {
    files
        .split("//- ")
        .skip(1)
        .fold(Site::default(), |site, file| {
            let (path, content) = file.split_once('\n').unwrap();
            let path = UrlPath::parse(path.trim()).unwrap();
            site.with_asset(Asset::in_memory(path, Bytes::from(content.to_owned())))
        })
}

fn graph_of(files: &str, url: &str) -> Graph {
    graph(&site(files), &SiteUrl::parse(url).unwrap())
}

/// Renders a graph, one line each: `Need target as Destination, behind which, marks`.
fn render(graph: &Graph) -> String {
    let mut lines = String::new();
    let name = |subresource: &Subresource| match &subresource.target {
        Target::Here(url) => url.target().to_owned(),
        Target::Elsewhere(url) => url.to_string(),
    };
    for subresource in &graph.subresources {
        let need = format!("{:?}", subresource.need);
        let destination = format!("{:?}", subresource.destination);
        write!(lines, "{need} {} {destination}", name(subresource)).unwrap();
        if let Some(behind) = subresource.behind {
            let behind = name(&graph.subresources[behind]);
            write!(lines, " behind {behind} at {}", subresource.depth).unwrap();
        }
        if let Some(crossorigin) = subresource.crossorigin {
            write!(lines, " {crossorigin:?}").unwrap();
        }
        if let Some(obstacle) = subresource.obstacle {
            write!(lines, " !{obstacle:?}").unwrap();
        }
        lines.push('\n');
    }
    for path in &graph.unknown {
        writeln!(lines, "? {}", path.as_str()).unwrap();
    }
    lines
}

#[track_caller]
fn check(files: &str, expected: &str) {
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let found = render(&graph_of(files, "/"));
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found, expected, "{files}");
}

#[test]
fn what_is_needed_sooner_comes_first() {
    check(
        "//- /index.html
        <link rel=icon href=i.png><link rel=manifest href=m.json>
        <link rel=preload as=font href=f.woff2 crossorigin>
        <script async src=async.js></script><script defer src=defer.js></script>
        <script src=head.js></script><link rel=stylesheet href=a.css>
        <body><img src=a.png><script src=body.js></script><script type=module src=m.js></script>
        <video poster=p.png src=v.mp4></video><iframe src=/frame/></iframe>
        //- /a.css
        //- /head.js
        //- /body.js
        //- /defer.js
        //- /async.js
        //- /m.js
        //- /a.png
        //- /p.png
        //- /f.woff2
        ",
        "RenderBlocking /head.js Script
        RenderBlocking /a.css Style
        ParserBlocking /body.js Script
        Deferred /defer.js Script
        Deferred /m.js Module Anonymous
        Preloaded /f.woff2 Font Anonymous
        Async /async.js Script
        Image /a.png Image
        Image /p.png Image
        Other /i.png Image !NotRendered
        Other /m.json Manifest !NotRendered
        Other /v.mp4 Media !NotRendered
        Other /frame/ Other !NotRendered",
    );
}

#[test]
fn each_url_comes_once_and_its_best_use_counts() {
    check(
        "//- /index.html
        <link rel=preload as=style href=a.css><link rel=stylesheet href=a.css#x>
        <link rel=stylesheet href=./b/../a.css>
        <link rel=stylesheet href=p.css media=print><link rel=preload as=style href=p.css>
        <script async src=s.js></script><script src=s.js></script>
        <script nomodule src=n.js></script><script defer src=n.js></script>
        <img loading=lazy src=i.png><img src=i.png><img src=i.png?2>
        <img src=l.png loading=lazy><img src=l.png srcset='l.png 1x'>
        //- /a.css
        //- /p.css
        //- /s.js
        //- /n.js
        //- /i.png
        //- /l.png
        ",
        "RenderBlocking /a.css Style
        RenderBlocking /s.js Script
        Deferred /n.js Script
        Preloaded /p.css Style
        Image /i.png Image
        Image /i.png?2 Image
        Image /l.png Image !Lazy",
    );
}

#[test]
fn urls_resolve_as_in_a_browser() {
    let expected = "RenderBlocking /first.css Style
        RenderBlocking /docs/a.css Style
        RenderBlocking /b.css?v=1&w=%20x Style
        RenderBlocking /docs/%C3%A9.css Style
        RenderBlocking https://cdn.example/c.css Style !CrossOrigin
        RenderBlocking http://site.invalid.example/d.css Style !CrossOrigin
        RenderBlocking https://cdn.example/x/?e Style !CrossOrigin";
    check(
        "//- /index.html
        <link rel=stylesheet href=first.css><base href=/docs/ignored>
        <link rel=stylesheet href=a.css><link rel=stylesheet href='/b.css?v=1&amp;w= x'>
        <link rel=stylesheet href=\u{e9}.css><link rel=stylesheet href=//cdn.example/c.css>
        <link rel=stylesheet href=http://site.invalid.example/d.css>
        <link rel=stylesheet href='https://cdn.example/x/?e#f'>
        <img src=data:,x><img src=blob:x><img src=about:blank><img src='javascript:1'>
        <img src=http://[><img src=/.git/x.png><img src=/a%2fb.png><img src=/>
        //- /first.css
        //- /docs/a.css
        //- /b.css
        //- /docs/\u{e9}.css
        ",
        expected,
    );
    let files = "//- /d/index.html\n<img src=a.png>\n//- /d/a.png\n";
    assert_eq!(render(&graph_of(files, "/d/?q")), "Image /d/a.png Image\n");
    assert_eq!(
        render(&graph_of(files, "/d/index.html")),
        "Image /d/a.png Image\n"
    );
    check(
        "//- /index.html
        <base href=https://elsewhere.example/><script src=a.js></script>",
        "RenderBlocking https://elsewhere.example/a.js Script !CrossOrigin",
    );
    check(
        "//- /index.html
        <base href=data:,x><script src=a.js></script>
        //- /a.js
        ",
        "RenderBlocking /a.js Script",
    );
}

#[test]
fn what_not_every_client_fetches_has_an_obstacle() {
    check(
        "//- /index.html
        <link rel=stylesheet href=print.css media=print>
        <link rel=stylesheet href=wide.css media='(min-width: 1px)'>
        <link rel=stylesheet href=dark.css media='(prefers-color-scheme: dark)'>
        <link rel=stylesheet href=all.css media=all>
        <link rel=stylesheet href=screen.css media=screen>
        <link rel=stylesheet href=nopush.css data-nopush>
        <link rel=preload as=image href=p.png media='(min-width: 1px)'>
        <link rel=preload as=video href=v.mp4>
        <script nomodule src=old.js></script><script src=/missing.js></script>
        <img src=lazy.png loading=lazy><img src=set.png srcset='b.png 2x'>
        <picture><source srcset=s.avif><img src=pic.png></picture>
        //- /print.css
        //- /wide.css
        //- /dark.css
        //- /all.css
        //- /screen.css
        //- /nopush.css
        //- /p.png
        //- /set.png
        //- /s.avif
        //- /pic.png
        ",
        "RenderBlocking /print.css Style !DependsOnClient
        RenderBlocking /wide.css Style !DependsOnClient
        RenderBlocking /dark.css Style !DependsOnClient
        RenderBlocking /all.css Style
        RenderBlocking /screen.css Style
        RenderBlocking /nopush.css Style !Nopush
        RenderBlocking /missing.js Script
        Preloaded /p.png Image !DependsOnClient
        Preloaded /v.mp4 Media !NotRendered
        Image /lazy.png Image !Lazy
        Image /set.png Image !DependsOnClient
        Image /s.avif Image !DependsOnClient
        Image /pic.png Image !DependsOnClient
        Other /old.js Script !Nomodule
        ? /missing.js",
    );
}

#[test]
fn missing_files_are_asked_for_once() {
    let html = "<script src=a.js></script><img src=/sub/><img loading=lazy src=b.png>";
    let asked = site(&format!("//- /index.html\n{html}"));
    let url = SiteUrl::parse("/").unwrap();
    assert_eq!(
        render(&graph(&asked, &url)),
        "RenderBlocking /a.js Script\nImage /sub/ Image\nImage /b.png Image !Lazy\n? /a.js\n? \
         /sub/\n"
    );
    let told = asked
        .with_missing(&UrlPath::parse("/a.js").unwrap())
        .with_missing(&UrlPath::parse("/sub/").unwrap())
        .with_missing(&UrlPath::parse("/b.png").unwrap());
    assert_eq!(
        render(&graph(&told, &url)),
        "RenderBlocking /a.js Script !Missing\nImage /sub/ Image !Missing\nImage /b.png Image \
         !Missing\n"
    );
}

#[test]
fn a_page_that_is_none_needs_nothing() {
    assert_eq!(render(&graph_of("", "/")), "? /\n");
    assert_eq!(
        render(&graph_of("//- /a.css\n@import 'b.css';", "/a.css")),
        ""
    );
    let graph = graph_of("//- /index.html\n<body data-nopush><img src=a>", "/");
    assert!(graph.nopush);
    assert!(graph.head_length < 10);
}

#[test]
fn module_graphs_are_walked_depth_first_and_once() {
    check(
        "//- /index.html
        <script type=module src=/js/main.js></script>
        <script type=module async src=/js/late.js crossorigin=use-credentials></script>
        <script type=module>import './inline.js'</script>
        <link rel=modulepreload href=/js/only.js>
        //- /inline.js
        import './js/c.js'
        //- /js/main.js
        import './a.js'; import './b.js'; import 'https://cdn.example/x.js'; import('./dynamic.js');
        //- /js/a.js
        import './c.js'; export * from './main.js';
        //- /js/b.js
        import './c.js'; import data from './d.json' with { type: 'json' };
        //- /js/c.js
        import './a.js';
        //- /js/late.js
        import './c.js'; import './late2.js';
        //- /js/late2.js
        //- /js/only.js
        import './unfetched.js';
        //- /js/d.json
        {}",
        "Deferred /js/main.js Module Anonymous
        Deferred /js/a.js Module behind /js/main.js at 2 Anonymous
        Deferred /js/c.js Module behind /js/a.js at 3 Anonymous
        Deferred /js/b.js Module behind /js/main.js at 2 Anonymous
        Deferred /js/d.json Module behind /js/b.js at 3 Anonymous
        Deferred https://cdn.example/x.js Module behind /js/main.js at 2 Anonymous !CrossOrigin
        Deferred /inline.js Module Anonymous
        Preloaded /js/only.js Module Anonymous
        Async /js/late.js Module UseCredentials
        Async /js/late2.js Module behind /js/late.js at 2 UseCredentials",
    );
}

#[test]
fn import_maps_are_used() {
    check(
        "//- /index.html
        <base href=/app/>
        <script type=importmap>
        { \"imports\": { \"lib\": \"./lib.js\", \"kit/\": \"/kit/\", \"off\": null } }
        </script>
        <script type=module src=main.js></script>
        //- /app/main.js
        import 'lib'; import 'kit/a.js'; import 'off'; import 'unmapped';
        //- /app/lib.js
        //- /kit/a.js
        ",
        "Deferred /app/main.js Module Anonymous
        Deferred /app/lib.js Module behind /app/main.js at 2 Anonymous
        Deferred /kit/a.js Module behind /app/main.js at 2 Anonymous",
    );
}

#[test]
fn a_better_way_is_walked_again() {
    check(
        "//- /index.html
        <link rel=stylesheet href=a.css data-nopush>
        <script type=module src=d.js async></script>
        <script type=module src=a.js data-nopush></script>
        <script type=module src=b.js async></script>
        <script type=module src=c.js></script>
        <script type=module>import './a.js'</script>
        <link rel=preload as=style href=a.css>
        //- /a.css
        //- /a.js
        import './shared.js';
        //- /b.js
        import './shared.js';
        //- /c.js
        import './shared.js';
        //- /shared.js
        import './deep.js'; import './d.js';
        //- /d.js
        //- /deep.js
        ",
        "RenderBlocking /a.css Style !Nopush
        Deferred /d.js Module Anonymous
        Deferred /a.js Module Anonymous !Nopush
        Deferred /c.js Module Anonymous
        Deferred /shared.js Module behind /c.js at 2 Anonymous
        Deferred /deep.js Module behind /shared.js at 3 Anonymous
        Async /b.js Module Anonymous",
    );
}

#[test]
fn chains_and_lists_are_bounded() {
    let mut files = "//- /index.html\n<script type=module src=0.js></script>\n".to_owned();
    for at in 0..100 {
        write!(files, "//- /{at}.js\nimport './{}.js'\n", at + 1).unwrap();
    }
    let graph = graph_of(&files, "/");
    assert_eq!(
        graph.subresources.iter().map(|found| found.depth).max(),
        Some(33)
    );
    let images: String = (0..2_000).fold(String::new(), |mut html, at| {
        write!(html, "<img src={at}.png>").unwrap();
        html
    });
    let graph = graph_of(&format!("//- /index.html\n{images}"), "/");
    assert_eq!(graph.subresources.len(), 1_000);
    assert_eq!(graph.unknown.len(), 1_000);
}

/// Modules that import each other at random, from a page that links them in random ways.
fn tangle() -> impl Strategy<Value = String> {
    let imports = prop::collection::vec(prop::collection::vec(0..8_usize, 0..5), 8);
    let links = prop::collection::vec((0..8_usize, 0..6_usize), 0..8);
    (imports, links).prop_map(|(imports, links)| {
        let mut files = "//- /index.html\n".to_owned();
        for (at, way) in links {
            let attributes = [
                "script type=module",
                "script type=module async",
                "script type=module data-nopush",
                "script type=module async data-nopush",
                "script nomodule",
                "link rel=modulepreload",
            ][way];
            let name = if way == 5 { "href" } else { "src" };
            writeln!(files, "<{attributes} {name}={at}.js></script>").unwrap();
        }
        for (at, imports) in imports.iter().enumerate() {
            writeln!(files, "//- /{at}.js").unwrap();
            for import in imports {
                writeln!(files, "import './{import}.js';").unwrap();
            }
        }
        files
    })
}

#[track_caller]
fn check_order(graph: &Graph) {
    for (at, subresource) in graph.subresources.iter().enumerate() {
        let is_same = |other: &Subresource| other.target == subresource.target;
        assert_eq!(
            graph.subresources.iter().position(is_same),
            Some(at),
            "once each"
        );
        if let Some(behind) = subresource.behind {
            assert!(behind < at, "never before what it hides behind");
            assert_eq!(subresource.depth, graph.subresources[behind].depth + 1);
        } else {
            assert_eq!(subresource.depth, 1);
        }
    }
    assert!(
        graph
            .subresources
            .is_sorted_by_key(|subresource| subresource.need)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tangles_end_and_stay_in_order(files in tangle()) {
        check_order(&graph_of(&files, "/"));
    }
}
