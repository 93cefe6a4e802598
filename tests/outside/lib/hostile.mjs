// Documents that go wrong where a script is put into them without care.

const page = (head, body = '<p>body') => `<!doctype html><html><head>${head}</head><body>${body}</body></html>`

/**
 * By name: the document (text, or bytes), and whether browsers show it in standards mode. All of
 * them run a script that is put in the right place.
 */
export const hostile = {
  'plain': [page('<title>x</title>'), true],
  'no doctype': ['<html><head><title>x</title></head><body><p>x</body></html>', false],
  'an old doctype': ['<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><title>x</title><p>x', false],
  'a doctype with a quoted bracket': ['<!doctype html SYSTEM "about:legacy-compat">\n<html><head><title>x</title>', true],
  'nothing': ['', false],
  'text alone': ['hello', false],
  'a fragment': ['<p>one<p>two', false],
  'a fragment after a doctype': ['<!doctype html>\n<p>one<p>two', true],
  'a title first': ['<!doctype html>\n<title></title>\n<p>x', true],
  'a byte order mark': ['\ufeff<!doctype html><html><head><title>x</title>', true],
  'comments before the doctype': ['<!-- a > b -->\n<!-- <html><head> -->\n<!doctype html><title>x</title>', true],
  'comments that end oddly': ['<!--><!---><!-- --!><!-- -- > <head> ---><!doctype html><html><head><title>x</title>', true],
  'an XML declaration': ['<?xml version="1.0" encoding="utf-8"?>\n<!doctype html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>', true],
  'declarations and empty ends before the doctype': ['</></ x><![CDATA[ x ]]><?php x ?><!doctype html><html><head>', true],
  'a comment with a head between html and head': ['<!doctype html><html><!-- <head> --><head><title>x</title>', true],
  'an end of a comment that never comes': ['<!doctype html><title>x</title><p>x<!-- <p>y', true],
  // The script has no place but before it, so the comment moves.
  'a comment that is all there is': ['<!-- <!doctype html><p>x', false, { moves: true }],
  'an attribute with a bracket': ["<!doctype html><html lang='a>b'><head title=\"<body>\"><title>x</title>", true],
  'attributes without sense': ['<!doctype html><html = "\' a=b\'c / d=\'>\' e><head/><title>x</title>', true],
  'an unquoted attribute with quotes': ['<!doctype html><html class=a"b><head><title>x</title><p title="">x', true],
  'capitals and line breaks': ['<!DoCtYpE\nHTML\n>\n<HTML\nLANG=EN\n>\n<HEAD\n>\n<TITLE>x</TITLE>', true],
  'a header instead of a head': ['<!doctype html><header>x</header><p>y', true],
  'a head in a template': ['<!doctype html><template><html><head></head><body></body></html></template><p>x', true],
  'a body that ends in a script': [page('<script>var end = "</body></html>"</script>', '<script>var head = "<head>"</script>'), true],
  'a body that ends in a comment': [page('<!-- </head><body> -->', '<!-- </body> --><textarea></body></textarea>'), true],
  'a script with an unclosed comment': [page('<script><!-- <script> </script>', 'x'), true],
  'plaintext': ['<!doctype html><plaintext></body></html>', true],
  'plaintext and no doctype': ['<plaintext><!doctype html><head>', false],
  'a title that never ends': ['<!doctype html><title><head></head><body>', true],
  'an SVG root': ['<svg xmlns="http://www.w3.org/2000/svg"><head/><title>x</title></svg>', false],
  'an SVG root after a doctype': ['<!doctype html><svg><title>x</title><style>p {}</style></svg>', true],
  'a MathML root': ['<!doctype html><math><mtext><head></head></mtext></math>', true],
  'a select': ['<!doctype html><select><option>x<head><title>', true],
  'a table': ['<!doctype html><table><head><tr><td>x', true],
  'a frameset': ['<!doctype html><html><head><title>x</title></head><frameset cols=*><frame src="about:blank"></frameset></html>', true],
  'a noscript in the head': ['<!doctype html><head><noscript><link rel=stylesheet href=/none.css></head></noscript><p>x', true],
  'a body that is opened first': ['<!doctype html><body class=x><head><title>x</title></head><p>y', true],
  'ends before beginnings': ['</p></div><html lang=en><head><title>x</title>', false],
  'a policy that allows its own scripts': [page('<meta http-equiv=Content-Security-Policy content="script-src \'self\'; connect-src \'self\'">'), true],
  'a policy that forbids all but what came before it': [page('<meta http-equiv=Content-Security-Policy content="script-src \'none\'; style-src \'none\'">'), true],
  'a base elsewhere': [page('<base href="https://elsewhere.invalid/deep/">'), true],
  'windows-1251': [Buffer.from('<!doctype html><html><head><meta charset=windows-1251><title>\xcf\xf0\xe8</title>', 'latin1'), true],
}
