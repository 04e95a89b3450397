#include "scanner/formats/xml/entities.hpp"
#include "scanner/formats/xml/markup.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using namespace std::string_literals;
using test::find_rule;
using test::has_gap;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string utf16(std::string_view text, bool big) {
  std::string out = big ? "\xfe\xff"s : "\xff\xfe"s;
  for (const char c: text) {
    if (big) out += '\0';
    out += c;
    if (!big) out += '\0';
  }
  return out;
}

void expect_malicious(const std::string& text, std::string_view rule) {
  const Report report = scan_bytes(text);
  const Finding* finding = find_rule(report, rule);
  ASSERT_NE(finding, nullptr) << text << " " << show(report);
  EXPECT_EQ(finding->severity, Severity::malicious) << text;
}

TEST(Xml, ordinary_documents_are_clean_and_named) {
  for (const std::string& text:
       {"<?xml version='1.0'?>\n<a b=\"c\">t &lt; &#65; <!-- x --> <![CDATA[ < ]]></a>"s,
        "<annotation><object><name>dog</name></object></annotation>\n"s,
        "<?xml version=\"1.0\"?><!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
        "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\"><plist/>"s,
        "<!DOCTYPE a [<!ENTITY x \"y\"><!ELEMENT a ANY>]><a>&x;</a>"s,
        "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0\"/><a href='http://x/'/></svg>"s,
        "<PMML version=\"4.4\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xsi:schemaLocation=\"http://www.dmg.org/PMML-4_4 http://www.dmg.org/v4-4/pmml.xsd\">"
        "<Apply function=\"if\"/></PMML>"s}) {
    const Report report = scan_bytes(text);
    EXPECT_EQ(report.format, "xml") << text << show(report);
    EXPECT_TRUE(is_clean(report)) << text << show(report);
  }
}

TEST(Xml, other_text_is_not_xml) {
  for (const std::string& text: {"<p align=center>Title</p>\n# Markdown\n"s, "<a><b></a>"s, "<a"s,
                                 "<<<<"s, "<!-- c -->"s, "<not xml> at all"s})
    EXPECT_EQ(scan_bytes(text).format, "text") << text;
}

TEST(Xml, entities_from_outside) {
  expect_malicious("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
                   "xml-external-entity");
  expect_malicious("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY % x PUBLIC 'p' "
                   "\"http://127.0.0.1/x.dtd\"> %x;]><a/>",
                   "xml-external-entity");
  expect_malicious("<!DOCTYPE html [<!ENTITY x SYSTEM '/etc/passwd'>]><html>&x;</html>",
                   "xml-external-entity");
  expect_malicious("<!ENTITY % all SYSTEM \"../../secret\">", "xml-external-entity");
  for (const bool big: {false, true})
    expect_malicious(utf16("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a/>", big),
                     "xml-external-entity");
  // What hides a declaration from a search: comments, other quotes, parameter references.
  expect_malicious("<!DOCTYPE a [<!-- > --> %p; <![INCLUDE[<!ENTITY\nx\tSYSTEM\n'//host/x' >]]> ]>"
                   "<a/>",
                   "xml-external-entity");
}

TEST(Xml, declarations_from_outside) {
  expect_malicious("<!DOCTYPE a SYSTEM \"http://127.0.0.1/a.dtd\"><a/>", "xml-external-dtd");
  expect_malicious("<!DOCTYPE a PUBLIC \"-//W3C//DTD SVG 1.1//EN\" "
                   "\"http://www.w3.org.evil.test/\"><a/>",
                   "xml-external-dtd");
  expect_malicious("<!DOCTYPE a PUBLIC \"-//CES//DTD XML cesAlign//EN\" "
                   "\"http://127.0.0.1/a.dtd\"><a/>",
                   "xml-external-dtd");
  const Report corpus =
      scan_bytes("<?xml version='1.0'?><!DOCTYPE cesAlign PUBLIC \"-//CES//DTD XML "
                 "cesAlign//EN\" \"http://xces.example.test/a.dtd\"><cesAlign/>");
  const Finding* declared = find_rule(corpus, "xml-external-dtd");
  ASSERT_NE(declared, nullptr) << show(corpus);
  EXPECT_EQ(declared->severity, Severity::suspicious);
  const Report report = scan_bytes("<!DOCTYPE a SYSTEM \"a.dtd\"><a/>");
  EXPECT_TRUE(is_clean(report)) << show(report);
  ASSERT_EQ(report.references.size(), 1U);
  EXPECT_EQ(report.references[0].target, "a.dtd");
  // DTDs that the system installed, and documents that change what they say.
  const std::string fonts =
      "<!DOCTYPE fontconfig SYSTEM \"file:///usr/share/xml/fontconfig/fonts.dtd\"";
  EXPECT_TRUE(is_clean(scan_bytes(fonts + "><fontconfig/>")));
  expect_malicious(
      fonts + " [<!ENTITY % constant 'aaa)><!ENTITY &#x25; f SYSTEM \"a\">'>]><fontconfig/>",
      "xml-external-dtd");
  for (const char* other: {"file:///etc/passwd", "file:///usr/share/xml/../../../etc/x.dtd",
                           "file://host/usr/share/xml/a.dtd", "/home/a/a.dtd"})
    expect_malicious("<!DOCTYPE a SYSTEM \"" + std::string(other) + "\"><a/>", "xml-external-dtd");
  expect_malicious("<!DOCTYPE PMML []><PMML version='4.4'></PMML>", "xml-doctype-in-model");
}

TEST(Xml, entity_bombs) {
  std::string laughs = "<!DOCTYPE a [<!ENTITY l0 \"lollollollol\">";
  for (int i = 1; i < 10; ++i) {
    laughs += "<!ENTITY l" + std::to_string(i) + " \"";
    for (int k = 0; k < 10; ++k)
      laughs += "&l" + std::to_string(i - 1) + ";";
    laughs += "\">";
  }
  expect_malicious(laughs + "]><a>&l9;</a>", "xml-entity-bomb");
  expect_malicious("<!DOCTYPE a [<!ENTITY x \"&y;\"><!ENTITY y \"&x;\">]><a/>", "xml-entity-bomb");
  std::string quadratic = "<!DOCTYPE a [<!ENTITY x \"" + std::string(50000, 'x') + "\">]><a>";
  for (int i = 0; i < 5000; ++i)
    quadratic += "&x;";
  expect_malicious(quadratic + "</a>", "xml-entity-bomb");
  EXPECT_TRUE(is_clean(scan_bytes("<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;\">]>"
                                  "<a>&z;&z;</a>")));
}

TEST(Xml, inclusions) {
  const std::string begin =
      "<a xmlns:i=\"http://www.w3.org/2001/XInclude\"><i:include parse='text' ";
  expect_malicious(begin + "href=\"file:///etc/passwd\"/></a>", "xml-xinclude");
  expect_malicious("<include xmlns=\"http://www.w3.org/2001/XInclude\" href=\"../../x\"/>",
                   "xml-xinclude");
  EXPECT_TRUE(is_clean(scan_bytes(begin + "href=\"chapter.xml\"/></a>")));
  EXPECT_EQ(find_rule(scan_bytes("<a><include href='/x'/></a>"), "xml-xinclude"), nullptr);
}

TEST(Xml, schemas_stylesheets_and_objects) {
  EXPECT_NE(find_rule(scan_bytes("<a xsi:noNamespaceSchemaLocation='\\\\host\\x.xsd'/>"),
                      "xml-schema-location"),
            nullptr);
  EXPECT_TRUE(is_clean(scan_bytes("<a xsi:noNamespaceSchemaLocation='../x.xsd'/>")));
  EXPECT_NE(find_rule(scan_bytes("<x:stylesheet xmlns:r='java:java.lang.Runtime'/>"), "xml-code"),
            nullptr);
  expect_malicious("<java class=\"java.beans.XMLDecoder\"><object "
                   "class=\"java.lang.ProcessBuilder\"/></java>",
                   "xml-object");
  expect_malicious("<map><java.lang.ProcessBuilder/></map>", "xml-object");
}

TEST(Xml, pmml) {
  const auto pmml = [](const std::string& inner) {
    return "<?xml version=\"1.0\"?><PMML version=\"4.4\">" + inner + "</PMML>";
  };
  EXPECT_NE(find_rule(scan_bytes(pmml("<Apply function=\"com.example.Score\"/>")), "pmml-function"),
            nullptr);
  expect_malicious(pmml("<Apply function=\"java.lang.Runtime.exec\"/>"), "pmml-function");
  EXPECT_TRUE(is_clean(scan_bytes(
      pmml("<Apply function=\"a.b\"/><DefineFunction name=\"a.b\"/><Apply function=\"x-y\"/>"))));
  EXPECT_NE(
      find_rule(scan_bytes(pmml("<Extension className=\"com.example.Hook\"/>")), "pmml-extension"),
      nullptr);
  EXPECT_NE(
      find_rule(scan_bytes(pmml("<Extension>os.system('echo')</Extension>")), "pmml-extension"),
      nullptr);
  EXPECT_TRUE(is_clean(
      scan_bytes(pmml("<Extension name=\"creator\" value=\"nyoka\" extender=\"ADAPA\"/>"))));
}

std::string layer(std::string_view attributes, std::string_view data) {
  return "<?xml version=\"1.0\"?><net name=\"m\" version=\"11\"><layers><layer id=\"0\" "
         "name=\"l\" " +
         std::string(attributes) + ">" + std::string(data) + "</layer></layers></net>";
}

TEST(Xml, openvino) {
  const std::string constant = "type=\"Const\" version=\"opset1\"";
  const Report good = scan_bytes(
      layer(constant, "<data element_type=\"f32\" shape=\"2, 3\" offset=\"8\" size=\"24\"/>"));
  EXPECT_TRUE(is_clean(good)) << show(good);
  ASSERT_EQ(good.references.size(), 2U);
  EXPECT_EQ(good.references[0].kind, "extent");
  EXPECT_EQ(good.references[0].target, "{stem}.bin 32");
  EXPECT_EQ(good.references[1].kind, "described");
  EXPECT_EQ(good.references[1].target, "{stem}.bin 32");
  for (const std::string_view bad:
       {"element_type=\"f32\" shape=\"2,3\" offset=\"0\" size=\"23\"",
        "element_type=\"f32\" shape=\"2,3\" offset=\"18446744073709551615\" size=\"24\"",
        "element_type=\"f32\" shape=\"99999999999,99999999999\" offset=\"0\" size=\"4\"",
        "element_type=\"f32\" shape=\"1\" offset=\"-1\" size=\"4\""})
    EXPECT_NE(find_rule(scan_bytes(layer(constant, "<data " + std::string(bad) + "/>")),
                        "openvino-extent"),
              nullptr)
        << bad;
  EXPECT_NE(
      find_rule(scan_bytes(layer("type=\"Mine\" version=\"extension\"", "")), "openvino-operation"),
      nullptr);
  EXPECT_TRUE(is_clean(scan_bytes(layer("type=\"BPETokenizer\" version=\"extension\"", ""))));
  EXPECT_NE(
      find_rule(scan_bytes(layer("type=\"Add\" version=\"opset1\"", "<data lib=\"./x.so\"/>")),
                "openvino-operation"),
      nullptr);
}

TEST(Xml, svg) {
  for (const std::string_view inner:
       {"<script>alert(1)</script>", "<g onload='x()'/>", "<a xlink:href=' java\nscript:x()'/>",
        "<set attributeName='href' to='javascript:x()'/>",
        "<foreignObject><iframe src='x'/></foreignObject>"})
    EXPECT_NE(find_rule(scan_bytes("<svg>" + std::string(inner) + "</svg>"), "svg-script"), nullptr)
        << inner;
}

TEST(Xml, a_cut_does_not_hide_what_came_before) {
  const std::string text =
      "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
  for (std::size_t n = text.find("passwd") + 9; n < text.size(); ++n)
    EXPECT_NE(find_rule(scan_bytes(text.substr(0, n)), "xml-external-entity"), nullptr) << n;
}

TEST(Xml, bytes_inside_are_no_xml) {
  const Report report = scan_bytes("<?xml version='1.0'?><a>\0\x01</a>"s);
  EXPECT_FALSE(report.complete()) << show(report);
}

TEST(Xml, a_foreign_character_behind_the_first_ends_it) {
  // A UTF-32 '<', then characters that no text has: looking ahead once never came back.
  for (const std::string& text:
       {"<\0\0\0\0\0\0\0\x80\xffpt"s, "<\0\0\0\0<script>x</script>"s, "<\0?\0\0\0"s, "\0<\0\0"s})
    EXPECT_NE(scan_bytes(text).format, "xml");
}

TEST(Markup, reads_long_documents_in_pieces) {
  std::string text = "<a>";
  for (int i = 0; i < 50000; ++i)
    text += "<b c=\"" + std::to_string(i) + "\">text</b>";
  text += "</a>";
  MemorySource source(as_bytes(text));
  xml::MarkupReader reader(source, xml::Dialect::xml);
  std::size_t starts = 0;
  std::uint64_t last = 0;
  for (xml::Event event = reader.next(); event != xml::Event::finish; event = reader.next())
    if (event == xml::Event::start) {
      ++starts;
      last = reader.offset();
    }
  EXPECT_EQ(starts, 50001U);
  EXPECT_EQ(last, text.rfind("<b"));
  EXPECT_TRUE(reader.is_well_formed());
}

} // namespace
} // namespace hubgate
