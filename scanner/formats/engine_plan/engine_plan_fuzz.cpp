#include "tests/support/fuzz_format.hpp"

namespace hubgate {
extern const Format format_engine_plan;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hubgate::test::fuzz_format(hubgate::format_engine_plan, data, size);
  return 0;
}
