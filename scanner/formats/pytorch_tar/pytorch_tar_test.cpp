#include "tests/support/corpus.hpp"
#include "tests/support/scan_bytes.hpp"

#include <gtest/gtest.h>

namespace hubgate {
namespace {

using test::scan_bytes;

TEST(PytorchTar, names_the_tar_that_old_torch_wrote) {
  for (const auto& [name, bytes]: test::corpus("scanner/formats/pytorch_tar/corpus", ""))
    EXPECT_EQ(scan_bytes(bytes).format, "pytorch-tar") << name;
}

TEST(PytorchTar, another_tar_stays_a_tar) {
  std::string bytes = test::corpus("scanner/formats/pytorch_tar/corpus", "good_").at("good_tar");
  // Two members under other names are too few; a header's checksum does not matter to this test.
  for (const std::string_view name: {"sys_info", "storages"}) {
    const std::size_t at = bytes.find(name);
    ASSERT_NE(at, std::string::npos);
    bytes[at] = 'x';
  }
  EXPECT_NE(scan_bytes(bytes).format, "pytorch-tar");
}

} // namespace
} // namespace hubgate
