#include "scanner/config/config.hpp"

#include "scanner/config/checks.hpp"

#include <algorithm>

namespace hubgate::config {
namespace {

constexpr std::size_t k_kept_depth = 1000; ///< Python reads no deeper configuration
constexpr std::size_t k_below = 4;         ///< the largest KeyRule::below
constexpr std::size_t k_shown = 12;        ///< levels of a path in evidence
constexpr std::size_t k_kept_key = 256;    ///< bytes of a key
constexpr std::size_t k_pairs = 512;       ///< components of a pipeline
constexpr unsigned k_times = 32;           ///< reports of one kind
constexpr std::size_t k_nested = std::size_t{1} << 20;

// A configuration as a string inside another one: Hydra and pickled hyper-parameters do that. Not
// in rows of a dataset, whose texts nobody loads.
bool holds_configuration(std::string_view text) {
  if (text.size() < 12 || text.size() > k_nested) return false;
  return text.find("_target_") != std::string_view::npos ||
         text.find(": !!python/") != std::string_view::npos ||
         text.find("- !!python/") != std::string_view::npos;
}

} // namespace

void Teller::find(const Rule& rule, std::uint64_t offset, std::string_view evidence,
                  std::string_view condition, std::optional<Severity> severity) {
  const Severity worth = severity.value_or(rule.severity);
  const auto known = std::find_if(told_.begin(), told_.end(), [&](const Told& told) {
    return told.rule == rule.id && told.condition == condition && told.severity == worth;
  });
  if (known == told_.end())
    told_.push_back({rule.id, condition, worth, 1});
  else if (++known->count > k_times)
    return;
  session_.find(rule, offset, 0, evidence, {.severity = severity, .condition = condition});
}

std::string ConfigScan::path() const {
  std::string out = frames_.size() > k_shown ? "…" : "";
  for (std::size_t i = frames_.size() - std::min(frames_.size(), k_shown); i < frames_.size();
       ++i) {
    const Frame& frame = frames_[i];
    if (frame.list) {
      out += '[' + std::to_string(frame.index == 0 ? 0 : frame.index - 1) + ']';
      continue;
    }
    if (!out.empty()) out += '.';
    out += frame.key;
  }
  return out;
}

void ConfigScan::begin_value() {
  if (depth_ == 0) ++documents_;
  if (depth_ == frames_.size() && !frames_.empty() && frames_.back().list) ++frames_.back().index;
}

void ConfigScan::open(bool list, std::uint64_t offset) {
  begin_value();
  ++depth_;
  if (depth_ > k_kept_depth) return;
  if (depth_ == 1) {
    pairs_.clear();
    pipeline_ = false;
  }
  frames_.push_back({.list = list, .key = {}});
  // The list of a component: one entry a key, filled by its scalars.
  if (list && depth_ == 2 && !frames_.front().list && pairs_.size() < k_pairs)
    pairs_.push_back({frames_.front().key, {}, {}, offset});
}

void ConfigScan::close() {
  if (depth_ == 0) return;
  if (depth_ == frames_.size()) {
    if (frames_.back().rule_count > 0) --ruled_;
    frames_.pop_back();
  }
  --depth_;
  if (depth_ == 0) top_map_ended();
}

void ConfigScan::top_map_ended() {
  if (pipeline_)
    for (const Pair& pair: pairs_)
      if (!pair.name.empty())
        check_component(teller_, pair.key, pair.library, pair.name, pair.offset);
  pairs_.clear();
  pipeline_ = false;
}

void ConfigScan::key(std::string_view text, std::uint64_t) {
  if (depth_ != frames_.size() || frames_.empty() || frames_.back().list) return;
  Frame& frame = frames_.back();
  if (frame.rule_count > 0) --ruled_;
  frame.key = text.substr(0, k_kept_key);
  const auto rules = rules_of(text);
  frame.rules = rules.data();
  frame.rule_count = rules.size();
  if (frame.rule_count > 0) ++ruled_;
  if (depth_ == 1 && text == "_class_name") pipeline_ = true;
}

void ConfigScan::scalar(Scalar kind, std::string_view text, std::uint64_t offset) {
  begin_value();
  if (depth_ != frames_.size() || frames_.empty()) return;
  if (depth_ == 2 && kind == Scalar::text && frames_.back().list && !pairs_.empty() &&
      !frames_.front().list) {
    Pair& pair = pairs_.back();
    if (frames_.back().index == 1) pair.library = text.substr(0, k_kept_key);
    if (frames_.back().index == 2) pair.name = text.substr(0, k_kept_key);
    if (frames_.back().index > 2) pair.name.clear();
  }
  if (kind == Scalar::text && documents_ <= 1 && depth_ <= 4 && !frames_.front().list &&
      holds_configuration(text)) {
    const std::string copy(text);
    MemorySource source(as_bytes(copy));
    teller_.session().embedded(path() + ".yaml", source);
  }
  if (kind == Scalar::text && documents_ <= 1 && text.size() < 4096 &&
      text.find("${oc.env:") != std::string_view::npos)
    check_resolvers(teller_, path(), text, offset);
  if (ruled_ == 0) return;
  for (std::size_t below = 0; below < std::min(frames_.size(), k_below + 1); ++below) {
    const std::size_t at = frames_.size() - 1 - below;
    const Frame& frame = frames_[at];
    for (std::size_t i = 0; i < frame.rule_count; ++i) {
      const KeyRule& rule = frame.rules[i];
      if (below > rule.below) continue;
      if (rule.parent == "^" && at != 0) continue;
      if (rule.parent == "[]" && (at != 1 || !frames_[0].list)) continue;
      if (!rule.parent.empty() && rule.parent != "^" && rule.parent != "[]") {
        std::size_t outer = at;
        while (outer > 0 && frames_[outer - 1].list)
          --outer;
        if (outer == 0 || frames_[outer - 1].key != rule.parent) continue;
      }
      const std::uint64_t index =
          frames_.back().list && frames_.back().index > 0 ? frames_.back().index - 1 : 0;
      rule.check(teller_, {rule, kind, text, offset, below, index, path()});
    }
  }
}

} // namespace hubgate::config
