// Streams cut into blocks must give what they give whole, in any content; libyara itself is not
// what is tested, but it runs under the sanitizers' eyes as far as it is built with them.
#include "scanner/yara/yara.hpp"
#include "tests/support/fuzz_format.hpp"

#include <cstdlib>
#include <set>

namespace {

using namespace hubgate;

constexpr const char* k_text = R"(
import "math"
rule Word { strings: $a = "ab" nocase wide ascii condition: #a > 2 }
rule Far { strings: $a = "xy" $b = { 00 ?? ff } condition: $a and $b and @b[1] > @a[1] }
rule Pattern { strings: $a = /a[b-d]{1,20}e/ condition: $a }
rule Parts { strings: $a = { 41 41 [250-300] 42 42 } condition: #a == 1 }
rule Place { strings: $a = "qq" condition: $a at 1100 or uint16(1500) == 0x7171 }
rule Size { condition: filesize > 2000 and math.entropy(0, filesize) > 6 }
)";

const std::vector<std::uint8_t>& compiled() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::vector<yara::Problem> problems;
    const auto out = yara::compile({{"fuzz.yar", "fuzz", k_text}}, problems);
    if (!out) std::abort();
    return out->bytes;
  }();
  return bytes;
}

std::set<std::string> found(yara::Rules& rules, Source& source) {
  std::set<std::string> out;
  for (const Finding& finding: scan_object({}, source, {}, nullptr, &rules).findings)
    if (finding.rule.starts_with("yara:")) out.insert(finding.rule);
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto whole = yara::Rules::load(compiled());
  static const auto cut = yara::Rules::load(compiled(), {1024, 512});
  MemorySource file(Bytes(data, size));
  const auto expected = found(*whole, file);
  if (found(*cut, file) != expected) std::abort();
  test::ArrivingSource arriving(Bytes(data, size));
  if (found(*cut, arriving) != expected) std::abort();
  return 0;
}
