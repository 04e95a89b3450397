#include "tests/support/compress.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::string pdf(const std::string& objects) {
  return "%PDF-1.7\n" + objects + "\nxref\n0 1\ntrailer\n<< /Root 1 0 R >>\nstartxref\n9\n%%EOF\n";
}
std::string object(const std::string& content) {
  return "1 0 obj\n" + content + "\nendobj\n";
}
std::string packed(const std::string& dictionary, const std::string& content) {
  return object("<< " + dictionary + " >>\nstream\n" + content + "\nendstream");
}

TEST(Pdf, ordinary_documents_are_clean) {
  for (const std::string& good:
       {pdf(object("<< /Type /Catalog /Names << /JavaScript 3 0 R >> >>")),
        pdf(object("<< /Title (see /JS and \\) /Launch) >>")),
        pdf(packed("/Length 20", "/JS (x) in a stream")), pdf("% /JS\n" + object("<< >>"))}) {
    const Report report = scan_bytes(good);
    EXPECT_EQ(report.format, "pdf");
    EXPECT_TRUE(is_clean(report)) << good << show(report);
    EXPECT_EQ(find_rule(report, "pdf-script"), nullptr) << good;
  }
}

TEST(Pdf, actions) {
  EXPECT_NE(
      find_rule(scan_bytes(pdf(object("<< /S /JavaScript /JS (app.alert(1)) >>"))), "pdf-script"),
      nullptr);
  EXPECT_NE(
      find_rule(scan_bytes(pdf(object("<< /OpenAction << /S /Launch /F (x) >> >>"))), "pdf-launch"),
      nullptr);
  const Report report = scan_bytes(pdf(object("<< /#4a#53 (x) >>")));
  EXPECT_NE(find_rule(report, "pdf-script"), nullptr);
  EXPECT_NE(find_rule(report, "pdf-hidden-name"), nullptr);
}

TEST(Pdf, objects_in_streams) {
  const std::string hidden = "1 0 << /S /JavaScript /JS (x) >>";
  EXPECT_NE(find_rule(scan_bytes(pdf(packed("/Type /ObjStm", hidden))), "pdf-script"), nullptr);
  EXPECT_NE(find_rule(scan_bytes(pdf(packed("/Type /ObjStm /Filter /FlateDecode",
                                            test::deflated(hidden, 15)))),
                      "pdf-script"),
            nullptr);
  const Report odd =
      scan_bytes(pdf(packed("/Type /ObjStm /Filter [/ASCIIHexDecode /LZWDecode]", "00>")));
  EXPECT_NE(find_rule(odd, "pdf-hidden-name"), nullptr) << show(odd);
  EXPECT_FALSE(odd.complete());
}

TEST(Pdf, ends) {
  EXPECT_FALSE(is_clean(scan_bytes("%PDF-1.7\n1 0 obj\n<< >>\nendobj\n")));
  EXPECT_NE(
      find_rule(scan_bytes(pdf(object("<< >>")) + "\n" + std::string(64, '\x01')), "trailing-data"),
      nullptr);
}

} // namespace
} // namespace hubgate
