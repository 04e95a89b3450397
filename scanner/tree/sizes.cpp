// Weights that can't be what their configuration describes (CNT-010).
#include "scanner/core/glob.hpp"
#include "scanner/tree/judge.hpp"
#include "scanner/tree/paths.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace hubgate::tree {
namespace {

/// An index may count in another precision than its shards have, not in another order of magnitude.
constexpr std::uint64_t k_index_factor = 8;
/// Bytes of a parameter at the least: quantised to two bits, with half of the model left out.
constexpr std::uint64_t k_parameters_per_byte = 16;
/// Descriptions of toys are not worth a word.
constexpr std::uint64_t k_least_parameters = 10'000'000;

// "hidden_size 4096": the number behind a name, 0 when there is none.
std::uint64_t dimension(const Judge& judge, std::size_t index, std::string_view name) {
  const TreeEntry& entry = judge.entries[index];
  for (const auto& reference: entry.report->references) {
    const std::string_view target = reference.target;
    if (reference.kind != "dimension" || !reference.where.empty() || !target.starts_with(name) ||
        target.size() <= name.size() || target[name.size()] != ' ' ||
        !holds_under(reference.condition, reference.where, entry.path))
      continue;
    std::uint64_t value = 0;
    const char* end = target.data() + target.size();
    if (std::from_chars(target.data() + name.size() + 1, end, value).ptr == end) return value;
  }
  return 0;
}

bool has_dimensions(const TreeEntry& entry) {
  return entry.report != nullptr &&
         std::any_of(entry.report->references.begin(), entry.report->references.end(),
                     [](const Reference& reference) { return reference.kind == "dimension"; });
}

// The shards together, when all of them are here.
void judge_index(Judge& judge, std::size_t index) {
  const std::uint64_t stated = dimension(judge, index, "total_size");
  if (stated == 0) return;
  const TreeEntry& entry = judge.entries[index];
  std::set<std::size_t> shards;
  for (const auto& reference: entry.report->references) {
    if (reference.kind != "file") continue;
    const std::size_t at = judge.find(resolve_path(entry.path, reference.target).path);
    if (at == k_none || judge.entries[at].pointer || judge.entries[at].mode == FileMode::symlink)
      return;
    shards.insert(at);
  }
  std::uint64_t bytes = 0;
  for (const std::size_t at: shards)
    bytes += judge.entries[at].size;
  if (shards.empty() || bytes >= stated / k_index_factor) return;
  judge.add(rule(RuleId::fake_weights), entry.path,
            "total_size is " + std::to_string(stated) + ", its shards have " +
                std::to_string(bytes) + " bytes together");
}

// A lower bound: the attention's and the feed-forward's squares, and the embedding.
std::uint64_t parameters(const Judge& judge, std::size_t index) {
  const auto either = [&](const char* one, const char* other) {
    return std::max(dimension(judge, index, one), dimension(judge, index, other));
  };
  constexpr std::uint64_t k_sane = std::uint64_t{1} << 20;
  const std::uint64_t width = either("hidden_size", "n_embd");
  const std::uint64_t depth = either("num_hidden_layers", "n_layer");
  const std::uint64_t words = dimension(judge, index, "vocab_size");
  if (width == 0 || depth == 0 || width > k_sane || depth > k_sane || words > 64 * k_sane) return 0;
  return 8 * width * width * std::min<std::uint64_t>(depth, 4096) + width * words;
}

// All weights in the folder of a configuration. Adapters and converted parts are honestly small.
void judge_configuration(Judge& judge, std::size_t index) {
  const TreeEntry& config = judge.entries[index];
  const std::uint64_t stated = parameters(judge, index);
  if (stated < k_least_parameters) return;
  const std::string_view folder = folder_of(config.path);
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (const TreeEntry& entry: judge.entries) {
    if (folder_of(entry.path) != folder) {
      // Weights may lie in a folder of their own.
      if (is_model_file(entry.path) && entry.path.starts_with(folder)) return;
      continue;
    }
    const std::string name = lower_case(name_of(entry.path));
    if (name.starts_with("adapter_") || name == "model_index.json" || entry.pointer) return;
    if (!is_model_file(name) || name.starts_with("tokenizer") || name == "training_args.bin" ||
        name == "spiece.model" || name == "sentencepiece.bpe.model")
      continue;
    if (entry.mode == FileMode::symlink) return;
    bytes += entry.size;
    ++count;
  }
  if (count == 0 || bytes >= stated / k_parameters_per_byte) return;
  judge.add(rule(RuleId::fake_weights), config.path,
            "at least " + std::to_string(stated) + " parameters, and weights of " +
                std::to_string(bytes) + " bytes",
            Severity::informational);
}

} // namespace

void judge_sizes(Judge& judge) {
  // Quadratic in the configurations of one repository: only so many are looked at.
  constexpr std::size_t k_configurations = 64;
  std::size_t configurations = 0;
  for (std::size_t i = 0; i < judge.entries.size(); ++i) {
    if (!has_dimensions(judge.entries[i])) continue;
    judge_index(judge, i);
    if (configurations++ < k_configurations) judge_configuration(judge, i);
  }
}

} // namespace hubgate::tree
