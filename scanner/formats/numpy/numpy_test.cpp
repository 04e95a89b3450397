#include "scanner/formats/numpy/npy.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/fuzz_format.hpp"
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

std::string npy(std::string header, const std::string& body) {
  header += '\n';
  return "\x93NUMPY\x01"s + '\0' + static_cast<char>(header.size() & 0xff) +
         static_cast<char>(header.size() >> 8) + header + body;
}

std::string of(const std::string& descr, const std::string& shape) {
  return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }";
}

std::optional<numpy::Dtype> dtype(std::string_view descr) {
  const auto literal = numpy::parse_literal(descr);
  return literal ? numpy::dtype_of(*literal) : std::nullopt;
}

TEST(Numpy, arrays_of_numbers_are_clean) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/numpy/corpus", "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_TRUE(report.findings.empty()) << name << " " << show(report);
    EXPECT_EQ(report.format, "numpy") << name;
  }
}

TEST(Numpy, is_never_clean_when_cut) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/numpy/corpus", "good_")) {
    for (std::size_t n = 8; n < bytes.size(); ++n) {
      // One array is whole, and the first bytes of a magic are letters.
      const std::size_t half = bytes.size() / 2;
      if (name == "good_two" && n >= half && n < half + 8) continue;
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(bytes).substr(0, n)))) << name << " " << n;
      test::ArrivingSource arriving(as_bytes(bytes).first(n));
      EXPECT_FALSE(is_clean(scan_object(all_formats(), arriving, {}, nullptr))) << name << " " << n;
    }
  }
}

TEST(Numpy, knows_the_size_of_every_dtype) {
  EXPECT_EQ(dtype("'<f4'")->item_size, 4U);
  EXPECT_EQ(dtype("'|S10'")->item_size, 10U);
  EXPECT_EQ(dtype("'<U3'")->item_size, 12U);
  EXPECT_EQ(dtype("'<M8[ns]'")->item_size, 8U);
  EXPECT_EQ(dtype("[('a', '<i4', (2, 3)), (('title', 'b'), '|V5')]")->item_size, 29U);
  EXPECT_EQ(dtype("('<f4', (2, 2))")->item_size, 16U);
  for (const std::string_view object:
       {"'|O'", "'O'", "'object'", "[('a', [('b', '|O8')])]", "'|T16'"})
    EXPECT_TRUE(dtype(object)->has_object) << object;
  for (const std::string_view bad:
       {"'<q9x'", "'f4,f4'", "''", "7", "[('a',)]", "'<U99999999999999999999'"})
    EXPECT_FALSE(dtype(bad)) << bad;
}

TEST(Numpy, literals_are_read_and_nothing_else_is) {
  for (const std::string_view good:
       {"{}", "()", "(1,)", "[1, -2, True, None]", "{'a': (1L, 2)}", "b'x\\x41'", "((1))"})
    EXPECT_TRUE(numpy::parse_literal(good)) << good;
  for (const std::string_view bad:
       {"", "f()", "{'a': f()}", "1+1", "1.5", "0x10", "[1 2]", "{1}", "'a", "(1", "{'a' 1}",
        "[*x]", "1;", "18446744073709551616", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"})
    EXPECT_FALSE(numpy::parse_literal(bad)) << bad;
}

TEST(Numpy, headers_that_numpy_does_not_write_are_refused) {
  for (const std::string& header:
       {"{'descr': __import__('os'), 'fortran_order': False, 'shape': (1,), }"s,
        "{'descr': '<f4', 'shape': (1,)}"s,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}"s,
        "{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (1,)}"s,
        of("'<f4'", "(-1,)"), of("'<f4'", "(4294967296, 4294967296, 16)"),
        of("'<f4'", "(4611686018427387904,)"), "[]"s}) {
    const Report report = scan_bytes(npy(header, std::string(64, '\x07')));
    EXPECT_NE(find_rule(report, "npy-header"), nullptr) << header << show(report);
    EXPECT_TRUE(has_gap(report, Reason::malformed)) << header;
  }
  EXPECT_NE(
      find_rule(scan_bytes(npy(of("'<f4'", "(1,)") + std::string(20'000, ' '), "\x01\x02\x03\x04")),
                "npy-header"),
      nullptr);
}

TEST(Numpy, a_shape_beyond_the_file_is_told) {
  const Report report = scan_bytes(npy(of("'<f4'", "(1000000,)"), "\x01\x02\x03\x04"));
  EXPECT_NE(find_rule(report, "npy-extent"), nullptr) << show(report);
  EXPECT_TRUE(has_gap(report, Reason::truncated));
}

TEST(Numpy, bytes_behind_the_last_array_are_an_object) {
  const Report report = scan_bytes(npy(of("'<f4'", "(1,)"), "\x01\x02\x03\x04"
                                                            "\x01\x02zz"));
  EXPECT_NE(find_rule(report, "trailing-data"), nullptr) << show(report);
}

TEST(Numpy, objects_are_told) {
  const Report report = scan_bytes(npy(of("[('a', '|O')]", "(1,)"), "\x80\x04N."));
  EXPECT_NE(find_rule(report, "npy-object-array"), nullptr) << show(report);
}

} // namespace
} // namespace hubgate
