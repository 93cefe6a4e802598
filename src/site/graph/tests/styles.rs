//! What hides behind style sheets.

use super::*;

#[test]
fn imports_come_right_after_what_names_them() {
    check(
        "//- /index.html
        <link rel=stylesheet href=css/a.css><link rel=stylesheet href=/z.css>
        <style media=screen>@import 'css/i.css';</style>
        <style media=print>@import 'css/p.css';</style>
        //- /css/a.css
        @import 'b.css'; @import url(../c.css) screen; @import 'd.css' print;
        @import 'e.css' (min-width: 1px); @import 'f.css' supports(animation-timeline: scroll());
        @import '//cdn.example/g.css';
        //- /css/b.css
        @import 'a.css'; @import 'h.css';
        //- /c.css
        //- /css/d.css
        @import 'dd.css';
        //- /css/e.css
        //- /css/f.css
        //- /css/h.css
        //- /css/i.css
        //- /css/p.css
        //- /z.css
        ",
        "RenderBlocking /css/a.css Style
        RenderBlocking /css/b.css Style behind /css/a.css at 2
        RenderBlocking /css/h.css Style behind /css/b.css at 3
        RenderBlocking /c.css Style behind /css/a.css at 2
        RenderBlocking /css/d.css Style behind /css/a.css at 2 !DependsOnClient
        RenderBlocking /css/dd.css Style behind /css/d.css at 3 !DependsOnClient
        RenderBlocking /css/e.css Style behind /css/a.css at 2 !DependsOnClient
        RenderBlocking /css/f.css Style behind /css/a.css at 2 !DependsOnClient
        RenderBlocking https://cdn.example/g.css Style behind /css/a.css at 2 !CrossOrigin
        RenderBlocking /z.css Style
        RenderBlocking /css/i.css Style
        RenderBlocking /css/p.css Style !DependsOnClient
        ? /css/dd.css",
    );
}

#[test]
fn fonts_and_images_count_if_they_are_used() {
    check(
        "//- /index.html
        <link rel=stylesheet href=css/a.css><p class=hero>text
        //- /css/a.css
        @font-face { font-family: A; src: url(a.woff2) format('woff2') }
        @font-face { font-family: A; font-weight: 700; src: url(a-bold.woff2) format('woff2') }
        @font-face { font-family: B; src: url(b.woff2) }
        body { font-family: A, sans-serif }
        .hero { background: url(../hero.png) }
        .absent { background: url(../absent.png) }
        .hero:hover { background: url(../hover.png) }
        @media (min-width: 1px) { body { background: url(../wide.png) } }
        //- /css/a.woff2
        //- /hero.png
        ",
        "RenderBlocking /css/a.css Style
        Font /css/a.woff2 Font behind /css/a.css at 2 Anonymous
        Font /css/a-bold.woff2 Font behind /css/a.css at 2 Anonymous !Unused
        Font /css/b.woff2 Font behind /css/a.css at 2 Anonymous !Unused
        Image /hero.png Image behind /css/a.css at 2
        Image /wide.png Image behind /css/a.css at 2 !DependsOnClient
        Image /absent.png Image behind /css/a.css at 2 !Unused
        Image /hover.png Image behind /css/a.css at 2 !Unused",
    );
}

#[test]
fn a_preloaded_font_is_discovered_in_the_document() {
    check(
        "//- /index.html
        <link rel=preload as=font href=a.woff2 crossorigin type=font/woff2>
        <style>@font-face { font-family: A; src: url(a.woff2) } p { font-family: A }</style>
        <p>text
        //- /a.woff2
        ",
        "Font /a.woff2 Font Anonymous",
    );
}

#[test]
fn style_attributes_take_part_in_the_cascade() {
    check(
        "//- /index.html
        <base href=/img/><style>.gone { display: none }
        .forced { background: none !important }</style>
        <p style='background-image: url(a.png)'>
        <p style=\"background: url('b.png?x')\" class=gone>
        <p style='background: url(c.png)' class=forced>
        <p style='color: red; } body { background: url(d.png)'>
        <p style='background: url(e.png)' hidden>
        //- /img/a.png
        ",
        "Image /img/a.png Image",
    );
}

#[test]
fn the_cascade_waits_for_every_sheet() {
    let html = "//- /index.html
        <style>p { background: url(a.png) }</style><link rel=stylesheet href=b.css><p>text\n";
    check(html, "RenderBlocking /b.css Style\n? /b.css");
    check(
        &format!("{html}//- /b.css\np {{ background: none }}"),
        "RenderBlocking /b.css Style\nImage /a.png Image !Unused",
    );
}

#[test]
fn what_hides_behind_an_obstacle_inherits_it() {
    let css = "@font-face { font-family: A; src: url(a.woff2) }
        p { font-family: A; background: url(a.png) }";
    for (link, obstacle) in [
        (
            "<link rel=stylesheet href=a.css media=print>",
            "DependsOnClient",
        ),
        (
            "<link rel=stylesheet href=a.css media='(min-width: 1px)'>",
            "DependsOnClient",
        ),
        ("<link rel=stylesheet href=a.css data-nopush>", "Nopush"),
    ] {
        let files = format!(
            "//- /index.html\n{link}<p>text\n//- /a.css\n{css}\n//- /a.woff2\n//- /a.png\n"
        );
        check(
            &files,
            &format!(
                "RenderBlocking /a.css Style !{obstacle}
                Font /a.woff2 Font behind /a.css at 2 Anonymous !{obstacle}
                Image /a.png Image behind /a.css at 2 !{obstacle}"
            ),
        );
    }
}

#[test]
fn layers_of_imports_decide_too() {
    check(
        "//- /index.html
        <link rel=stylesheet href=a.css><p id=p>text
        //- /a.css
        @import 'b.css' layer(low);
        p { background: url(a.png) }
        //- /b.css
        #p { background: url(b.png) }
        //- /a.png
        ",
        "RenderBlocking /a.css Style
        RenderBlocking /b.css Style behind /a.css at 2
        Image /b.png Image behind /b.css at 3 !Unused
        Image /a.png Image behind /a.css at 2",
    );
}

/// Style sheets that import each other at random, from a page that links them in random ways.
fn tangle() -> impl Strategy<Value = String> {
    let imports = prop::collection::vec(prop::collection::vec((0..6_usize, 0..3_usize), 0..5), 6);
    let links = prop::collection::vec((0..6_usize, 0..4_usize), 0..6);
    (imports, links).prop_map(|(imports, links)| {
        let mut files = "//- /index.html\n<p>text".to_owned();
        for (at, way) in links {
            let rest = ["", "media=print", "media='(width > 1px)'", "data-nopush"][way];
            writeln!(files, "<link rel=stylesheet {rest} href={at}.css>").unwrap();
        }
        for (at, imports) in imports.iter().enumerate() {
            writeln!(files, "//- /{at}.css").unwrap();
            for (import, way) in imports {
                let rest = ["", "print", "(width > 1px)"][*way];
                writeln!(files, "@import '{import}.css' {rest};").unwrap();
            }
            let next = at + 1;
            writeln!(
                files,
                "@font-face {{ font-family: f{next}; src: url({next}.woff2) }}"
            )
            .unwrap();
            writeln!(
                files,
                "p {{ font-family: f{at}; background: url({at}.png) }}"
            )
            .unwrap();
        }
        files
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn tangles_of_sheets_end_and_stay_in_order(files in tangle()) {
        check_order(&graph_of(&files, "/"));
    }
}
