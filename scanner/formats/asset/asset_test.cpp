#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

std::map<std::string, std::string> good() {
  return test::corpus("scanner/formats/asset/corpus", "good_");
}

TEST(Asset, every_kind_is_clean) {
  ASSERT_GE(good().size(), 12U);
  for (const auto& [name, bytes]: good()) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "asset") << name;
  }
}

TEST(Asset, is_not_clean_when_cut) {
  for (const auto& [name, bytes]: good()) {
    // Elements and records in a row have no stated end; what ends with the source has none either;
    // DVI ends with four to seven bytes of padding.
    if (name == "good_mat4" || name == "good_fortran" || name == "good_netcdf" ||
        name == "good_faiss" || name == "good_nifti_pair" || name == "good_dvi" ||
        name.starts_with("good_dicom"))
      continue;
    for (std::size_t n = 9; n < bytes.size(); ++n) {
      const Report report = scan_bytes(std::string_view(bytes).substr(0, n));
      EXPECT_FALSE(is_clean(report)) << name << " " << n << " " << show(report);
    }
  }
}

TEST(Asset, dicom_is_whole_between_two_elements_only) {
  for (const auto& [name, bytes]: good()) {
    if (!name.starts_with("good_dicom")) continue;
    std::size_t clean = 0;
    for (std::size_t n = 140; n < bytes.size(); ++n)
      clean += is_clean(scan_bytes(std::string_view(bytes).substr(0, n))) ? 1 : 0;
    EXPECT_LE(clean, 16U) << name;
    EXPECT_FALSE(is_clean(scan_bytes(bytes.substr(0, bytes.size() - 1)))) << name;
  }
}

TEST(Asset, what_is_hidden_in_a_dicom_is_found) {
  std::string bytes = good()["good_dicom_explicit"];
  const std::string script = "#!/bin/sh\ncurl http://127.0.0.1/x | sh\n";
  bytes.replace(0, script.size(), script);
  EXPECT_NE(find_rule(scan_bytes(bytes), "generic-script"), nullptr) << show(scan_bytes(bytes));
}

TEST(Asset, what_follows_the_end_is_an_object_of_its_own) {
  const Report report = scan_bytes(good()["good_ttf"] + std::string("\x01\x02\x03\x04\x05zz"));
  EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << show(report);
  EXPECT_FALSE(report.complete());
}

} // namespace
} // namespace hubgate
