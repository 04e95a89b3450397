// weight.bin of Core ML packages (MILBlob's StorageFormat.hpp): a header of 64 bytes, then blobs,
// each behind 64 bytes that say where it lies. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::uint32_t k_version = 2;
constexpr std::uint32_t k_sentinel = 0xdeadbeef;
constexpr std::uint64_t k_block = 64;

constexpr std::array<Rule, 1> k_rules{{
    {"coreml-weights-extent", "structure", Severity::suspicious, Reach::load, "CWE-125",
     "AML.T0029", "RTF-006", "a blob of weights leads outside of the file or into another blob"},
}};

Claim probe(const Probe& probe) {
  Reader in(probe.head);
  const auto count = in.le<std::uint32_t>();
  const auto version = in.le<std::uint32_t>();
  if (!count || version != k_version || *count == 0) return Claim::no;
  for (int i = 0; i < 7; ++i)
    if (in.le<std::uint64_t>() != std::uint64_t{0}) return Claim::no;
  return in.le<std::uint32_t>() == k_sentinel ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  Cursor in(source);
  const auto count = in.le<std::uint32_t>();
  if (!count) return Reading::none;
  const std::uint64_t size = source.wait_end();
  std::uint64_t at = k_block;
  std::uint64_t end = at;
  for (std::uint32_t i = 0; i < *count; ++i) {
    in.seek(at);
    const auto sentinel = in.le<std::uint32_t>();
    const auto type = in.le<std::uint32_t>();
    const auto bytes = in.le<std::uint64_t>();
    const auto begin = in.le<std::uint64_t>();
    if (!sentinel || !type || !bytes || !begin) {
      session.gap(Reason::truncated, Reach::load, at, "the weights end early");
      return Reading::broken;
    }
    const bool fits = *sentinel == k_sentinel && *begin >= at + k_block && *begin <= size &&
                      *bytes <= size - *begin;
    if (!fits) {
      session.find(k_rules[0], at, k_block, "blob " + std::to_string(i));
      session.gap(Reason::malformed, Reach::load, at,
                  "a blob of weights is not where it should be");
      return Reading::broken;
    }
    end = *begin + *bytes;
    at = (end + k_block - 1) / k_block * k_block;
    if (i % 4096 == 4095 && !session.budget().time_left()) {
      session.gap(Reason::budget, Reach::data, at, "out of time");
      return Reading::broken;
    }
  }
  session.ends_at(std::min(size, at));
  session.release(end - std::min(end, k_held_tail));
  return Reading::valid;
}

} // namespace

extern const Format format_coreml_weights;
const Format format_coreml_weights{.name = "coreml_weights",
                                   .family = "coreml_weights",
                                   .probe = probe,
                                   .scan = scan,
                                   .rules = k_rules};

} // namespace hubgate
