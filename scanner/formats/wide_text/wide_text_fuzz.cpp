#include "tests/support/fuzz_format.hpp"

namespace hubgate {
extern const Format format_wide_text;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hubgate::test::fuzz_format(hubgate::format_wide_text, data, size);
  return 0;
}
