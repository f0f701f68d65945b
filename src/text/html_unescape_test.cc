#include "text/html_unescape.h"

#include <gtest/gtest.h>

#include "text/html_entities.h"
#include "text/utf8.h"

namespace sparsevid {
namespace {

std::string unescape(std::string_view text) {
  return encode_utf8(html_unescape(decode_utf8(text)));
}
std::string closed(std::string_view text) {
  return encode_utf8(html_unescape_closed(decode_utf8(text)));
}

TEST(HtmlUnescape, ReplacesNamedReferences) {
  EXPECT_EQ(unescape("&lt;b&gt; &amp; &quot;&apos;"), "<b> & \"'");
  EXPECT_EQ(unescape("&eacute;&Eacute;&hearts;&NotEqualTilde;"), "éÉ♥≂̸");
  EXPECT_EQ(unescape("&CounterClockwiseContourIntegral;"), "∳");  // the longest name
}

TEST(HtmlUnescape, SomeNamesNeedNoSemicolon) {
  EXPECT_EQ(unescape("&copy 2 &copyright &notit; &ampamp;"), "© 2 ©right ¬it; &amp;");
  EXPECT_EQ(unescape("&hearts &larr"), "&hearts &larr");
}

TEST(HtmlUnescape, ReplacesNumericReferences) {
  EXPECT_EQ(unescape("&#65;&#x42;&#X43;&#68 &#233;"), "ABCD é");
  EXPECT_EQ(unescape("&#x1F98A;"), "🦊");
  EXPECT_EQ(unescape("&#128;&#x92;"), "€’");  // as Windows-1252
  EXPECT_EQ(unescape("&#0;&#xD800;&#1114112;&#99999999999999999999;"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(unescape("a&#1;&#xFFFE;&#x7f;b"), "ab");  // characters HTML does not allow
}

TEST(HtmlUnescape, LeavesEverythingElse) {
  for (const auto* text :
       {"", "&", "&&", "&;", "&#;", "&#x;", "&#xg;", "&unknown;", "a & b", "&é;"}) {
    EXPECT_EQ(unescape(text), text);
    EXPECT_EQ(closed(text), text);
  }
}

TEST(HtmlUnescape, ClosedReferencesOnly) {
  EXPECT_EQ(closed("&amp; &copy; &#65;"), "& © A");
  EXPECT_EQ(closed("&amp &copy 2 &#65 &notit;"), "&amp &copy 2 &#65 &notit;");
  EXPECT_EQ(closed("&#59;"), "&#59;");
  EXPECT_EQ(closed("&semi;"), ";");
  EXPECT_EQ(unescape("&#59;"), ";");
  EXPECT_EQ(closed("&CounterClockwiseContourIntegral;"), "&CounterClockwiseContourIntegral;");
}

TEST(HtmlEntities, HoldTheWholeListOfHtml5) {
  ASSERT_NE(find_html_entity("AElig"), nullptr);
  EXPECT_EQ(find_html_entity("AElig")->first, U'\u00C6');
  EXPECT_FALSE(find_html_entity("AElig")->needs_semicolon);
  EXPECT_TRUE(find_html_entity("zwnj")->needs_semicolon);
  EXPECT_EQ(find_html_entity("NotEqualTilde")->second, U'\u0338');
  EXPECT_EQ(find_html_entity(""), nullptr);
  EXPECT_EQ(find_html_entity("aelig")->first, U'\u00E6');
  EXPECT_EQ(find_html_entity("AELIG"), nullptr);
}

}  // namespace
}  // namespace sparsevid
