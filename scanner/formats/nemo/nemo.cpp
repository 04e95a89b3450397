// NeMo's archives (.nemo, .qnemo): a tar, often compressed, with model_config.yaml, the weights as
// a torch checkpoint and what tokenizers need (nemo/core/connectors/save_restore_connector.py). The
// tar format scans the members; this names what they are together.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tar/header.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::size_t k_max_members = 256; ///< NeMo packs tens

constexpr std::array<Rule, 1> k_rules{{
    {"nemo-two-configs", "structure", Severity::suspicious, Reach::load, "CWE-436", "AML.T0076",
     "RTF-013", "the archive has its configuration twice, and the one unpacked last counts"},
}};

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

Claim probe(const Probe& probe) {
  if (probe.head.size() < tar::k_block) return Claim::no;
  return tar::read_header(probe.head.first(tar::k_block)) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  std::uint64_t at = 0;
  std::size_t configs = 0;
  bool weights = false;
  for (std::size_t seen = 0; seen < k_max_members; ++seen) {
    const Bytes block = source.view(at, tar::k_block);
    if (block.size() < tar::k_block || tar::is_zero_block(block)) break;
    const auto header = tar::read_header(block);
    if (!header || header->size.malformed || header->size.negative) return Reading::none;
    const std::string_view name = base_name(header->name);
    if (name == "model_config.yaml") ++configs;
    weights = weights || name.ends_with(".ckpt") || name.ends_with(".safetensors") ||
              name == "rank0.safetensors" ||
              header->name.find("model_weights") != std::string::npos;
    const std::uint64_t step = tar::k_block + tar::padded(header->size.value);
    if (step < tar::k_block || __builtin_add_overflow(at, step, &at)) return Reading::none;
  }
  if (configs == 0 || !weights) return Reading::none;
  if (configs > 1)
    session.find(k_rules[0], 0, 0,
                 std::to_string(configs) + " members are called model_config.yaml");
  session.ends_at(at);
  return Reading::valid;
}

} // namespace

extern const Format format_nemo;
const Format format_nemo{
    .name = "nemo", .family = "tar", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
