#include "tests/support/fuzz_format.hpp"

namespace hubgate {
extern const Format format_xgboost_binary;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hubgate::test::fuzz_format(hubgate::format_xgboost_binary, data, size);
  return 0;
}
