#include "scanner/formats/hdf5/dataset.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::find_rule;
using test::is_clean;
using test::scan_bytes;
using test::show;

constexpr const char* k_corpus = "scanner/formats/hdf5/corpus";

std::string file(const std::string& name) {
  return test::corpus(k_corpus, name).at(name);
}

TEST(Hdf5, honest_files_are_clean) {
  for (const auto& [name, bytes]: test::corpus(k_corpus, "good_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_TRUE(is_clean(report)) << name << " " << show(report);
    EXPECT_EQ(report.format, "hdf5") << name;
  }
}

TEST(Hdf5, every_rule_fires) {
  for (const auto& [name, rule]: std::map<std::string, std::string>{
           {"bad_dat_013_external_dataset", "hdf5-external-storage"},
           {"bad_ker_012_external_link", "hdf5-external-link"},
           {"bad_ker_012_soft_link", "hdf5-soft-link"},
           {"bad_ker_012_user_link", "hdf5-user-link"},
           {"bad_ker_013_virtual", "hdf5-virtual-dataset"},
           {"bad_ker_014_private_filter", "hdf5-filter"},
           {"bad_ker_015_shape_bomb", "hdf5-shape-bomb"},
           {"bad_ker_016_user_block", "hdf5-user-block"},
           {"bad_ker_016_second_superblock", "hdf5-second-superblock"},
           {"bad_ker_016_driver", "hdf5-driver"},
           {"bad_ker_016_cyclic_tree", "hdf5-structure"},
           {"bad_ker_016_wrong_checksum", "hdf5-structure"},
           {"bad_ker_016_overlap", "hdf5-overlap"},
           {"bad_matlab", "hdf5-matlab-object"},
           {"bad_julia", "hdf5-julia-type"},
           {"bad_lambda", "keras-lambda"},
           {"bad_split_configuration", "keras-lambda"},
           {"bad_jnp_016_object_column", "pickle-dangerous-call"},
           {"bad_jnp_016_attribute", "pickle-dangerous-call"},
           {"bad_jnp_016_opaque", "pickle-dangerous-call"},
           {"bad_jnp_016_compressed_bytes", "pickle-dangerous-call"}}) {
    const Report report = scan_bytes(file(name));
    EXPECT_NE(find_rule(report, rule), nullptr) << name << " " << show(report);
  }
}

TEST(Hdf5, names_the_files_that_it_leads_to) {
  const Report report = scan_bytes(file("bad_ker_012_external_link"));
  ASSERT_EQ(report.references.size(), 1U);
  EXPECT_EQ(report.references[0].kind, "file");
  EXPECT_EQ(report.references[0].target, "/etc/shadow.h5");
}

TEST(Hdf5, is_never_clean_when_cut) {
  for (const std::string name: {"good_everything_earliest", "good_everything_latest"}) {
    const std::string whole = file(name);
    for (std::size_t n = 8; n < whole.size(); n += n < 2000 ? 1 : 61)
      EXPECT_FALSE(is_clean(scan_bytes(std::string_view(whole).substr(0, n)))) << name << " " << n;
  }
}

// No change of one byte makes a crash or an endless walk; the fuzzer goes on from here.
TEST(Hdf5, survives_changed_bytes) {
  const std::string whole = file("good_everything_latest");
  for (std::size_t at = 0; at < 4096; at += 3) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0xff);
    scan_bytes(changed);
  }
}

TEST(Hdf5, scans_what_nothing_refers_to) {
  std::string bytes = file("good_ker_011_near.weights");
  // The end of the file's data, at 28 in a superblock of version 2, is moved behind a pickle.
  const std::string pickle = "\x80\4\x8c\2os\x8c\6system\x93\x8c\4echo\x85R.";
  bytes += std::string(32, '\0') + pickle + std::string(32, '\0');
  const std::uint64_t end = bytes.size();
  for (unsigned i = 0; i < 8; ++i)
    bytes[28 + i] = static_cast<char>(end >> (8 * i) & 0xff);
  const std::uint32_t sum = hdf5::lookup3(as_bytes(bytes).first(44));
  for (unsigned i = 0; i < 4; ++i)
    bytes[44 + i] = static_cast<char>(sum >> (8 * i) & 0xff);
  const Report report = scan_bytes(bytes);
  EXPECT_NE(find_rule(report, "pickle-dangerous-call"), nullptr) << show(report);
  EXPECT_EQ(find_rule(report, "hdf5-structure"), nullptr) << show(report);
}

// Attributes of more than 64 KiB are listed by a tree that each of them is looked up in.
TEST(Hdf5, several_huge_attributes_share_their_index) {
  const Report report = scan_bytes(file("good_huge_attributes"));
  EXPECT_EQ(find_rule(report, "hdf5-structure"), nullptr) << show(report);
}

TEST(Hdf5, checksum_is_lookup3) {
  EXPECT_EQ(hdf5::lookup3(as_bytes("")), 0xdeadbeefU);
  EXPECT_EQ(hdf5::lookup3(as_bytes("Four score and seven years ago")), 0x17770551U);
}

TEST(Hdf5, knows_filters) {
  EXPECT_EQ(hdf5::kind_of(1), hdf5::FilterKind::decoded);
  EXPECT_EQ(hdf5::kind_of(4), hdf5::FilterKind::known);
  EXPECT_EQ(hdf5::kind_of(32001), hdf5::FilterKind::registered);
  EXPECT_EQ(hdf5::kind_of(300), hdf5::FilterKind::unknown);
  EXPECT_EQ(hdf5::kind_of(40000), hdf5::FilterKind::unknown);
}

} // namespace
} // namespace hubgate
