// Compiled engines whose layout is nobody's but their maker's: TensorRT plans, RKNN models, CNTK's
// binary networks. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/executables.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t k_step = std::size_t{1} << 20;
constexpr std::uint64_t k_behind = 64;

constexpr std::array<Rule, 2> k_rules{{
    {"engine-native-code", "executable", Severity::malicious, Reach::load, "CWE-829",
     "AML.T0018.002", "RTF-007 RTF-011",
     "the engine carries a native library, which its runtime loads"},
    {"engine-plan", "code", Severity::informational, Reach::load, "", "AML.T0018.002",
     "RTF-007 RTF-011", "compiled code for an accelerator, in a layout that only its maker reads"},
}};
const Rule& k_native = k_rules[0];
const Rule& k_plan = k_rules[1];

struct Magic {
  std::string_view bytes;
  std::string_view name;
};
constexpr std::array<Magic, 4> k_magics{{
    {"ptrt"sv, "a TensorRT plan"},
    {"ftrt"sv, "a TensorRT plan"},
    {"RKNN\0\0\0\0"sv, "an RKNN model"},
    {"B\0C\0N\0\0\0"sv, "a CNTK network"},
}};

const Magic* magic_of(Bytes head) {
  // Words that begin a text too: an engine has zeros soon after.
  const Bytes start = head.first(std::min<std::size_t>(head.size(), 64));
  if (std::find(start.begin(), start.end(), std::uint8_t{0}) == start.end()) return nullptr;
  for (const Magic& magic: k_magics)
    if (starts_with(head, magic.bytes)) return &magic;
  return nullptr;
}

// Kernels of the accelerator are ELF files too: CUDA (190), AMD (224).
bool is_kernel(Source& source, std::uint64_t at) {
  const Bytes head = source.view(at, 20);
  if (head.size() < 20 || head[0] != 0x7f) return false;
  const unsigned machine = head[18] | static_cast<unsigned>(head[19]) << 8;
  return machine == 190 || machine == 224;
}

Reading scan(Source& source, Session& session) {
  const Magic* magic = magic_of(source.view(0, 64));
  if (magic == nullptr) return Reading::none;
  session.find(k_plan, 0, 0, magic->name);
  const std::uint64_t size = source.wait_end();
  std::vector<std::uint64_t> candidates;
  for (std::uint64_t at = 0; at < size;) {
    const Bytes piece = source.view(at, k_step);
    if (piece.empty()) break;
    const std::string_view text = as_text(piece);
    for (const std::string_view start: {"\x7f"
                                        "ELF"sv,
                                        "MZ"sv, "\xcf\xfa\xed\xfe"sv, "\xce\xfa\xed\xfe"sv})
      for (auto hit = text.find(start); hit != std::string_view::npos;
           hit = text.find(start, hit + 1))
        candidates.push_back(at + hit);
    for (const std::uint64_t candidate: candidates) {
      const auto found = find_executable(source, candidate, size);
      if (found && found->complete && !is_kernel(source, candidate))
        session.find(k_native, candidate, 0, found->what);
    }
    candidates.clear();
    if (piece.size() <= k_behind || at + piece.size() >= size) break;
    at += piece.size() - k_behind;
    if (!session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
  session.gap(Reason::unsupported, Reach::load, 0,
              std::string(magic->name) + ": only its maker can read it");
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return magic_of(probe.head) != nullptr ? Claim::yes : Claim::no;
}

} // namespace

extern const Format format_engine_plan;
const Format format_engine_plan{"engine_plan", "engine_plan", probe, scan, k_rules};

} // namespace hubgate
