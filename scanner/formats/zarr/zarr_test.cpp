#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::is_clean;
using test::scan_bytes;
using test::show;

std::string chunks_of(const std::string& json) {
  const Report report = scan_bytes(json);
  EXPECT_TRUE(is_clean(report)) << show(report);
  EXPECT_EQ(report.format, "zarr") << show(report);
  return report.references.empty() ? "" : report.references[0].target;
}

TEST(Zarr, TellsWhatAChunkIs) {
  const auto good = test::corpus("scanner/formats/zarr/corpus", "good_");
  EXPECT_EQ(chunks_of(good.at("good_v2")), "- . 2 8192");
  EXPECT_EQ(chunks_of(good.at("good_v3")), "c / 2 16384");
  EXPECT_EQ(chunks_of(R"({"zarr_format":2,"shape":[],"chunks":[],"dtype":"<f8","compressor":null,)"
                      R"("filters":null})"),
            "- . 0 8");
  EXPECT_EQ(chunks_of(R"({"zarr_format":2,"shape":[9],"chunks":[5],"dtype":"<U3","filters":[],)"
                      R"("dimension_separator":"/"})"),
            "- / 1 60");
}

TEST(Zarr, NothingOfChunksThatHaveToBeUndoneFirst) {
  for (const char* more:
       {R"("filters":[{"id":"delta"}])", R"("compressor":{"id":"blosc"})", R"("dtype":"|O")",
        R"("dtype":[["a","<f4"]])", R"("chunks":[0])", R"("chunks":[5,5])",
        R"("chunks":[4294967296,4294967296])", R"("shape":[9,9])"})
    EXPECT_EQ(chunks_of(R"({"zarr_format":2,"shape":[9],"chunks":[5],"dtype":"<f8",)" +
                        std::string(more) + "}"),
              "")
        << more;
}

TEST(Zarr, PicklesAreToldWhereverTheyAre) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/zarr/corpus", "bad_")) {
    const Report report = scan_bytes(bytes);
    EXPECT_NE(test::find_rule(report, "zarr-pickle-codec"), nullptr) << name << show(report);
  }
}

TEST(Zarr, ACutIsNoArray) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/zarr/corpus", "good_"))
    for (std::size_t n = 1; n < bytes.size(); ++n)
      EXPECT_NE(scan_bytes(bytes.substr(0, n)).format, "zarr") << name << n;
}

} // namespace
} // namespace hubgate
