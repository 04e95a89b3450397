#pragma once
// Policy: report and context in, decision out. A pure function of both: no clock, no store.
//
// Every finding and every gap of the verdict (or, if there are none, the object itself) is put to
// the rules in order and decided by the first that matches; the object gets the strictest of these
// decisions. So nothing that a lenient rule lets pass can carry along what a later rule blocks, and
// an inconclusive object gets the stricter of the decisions for its verdict and for `inconclusive`.
// Where no rule matches, the object is blocked and the decision says so.
#include "policy/verdict.hpp"
#include "policy/yaml.hpp"
#include "scanner/core/digest.hpp"
#include "scanner/core/result.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate {

namespace yara {
struct Compiled;
}

enum class Direction { pull, push };

/// By which way the object came.
enum class Road { hub, lfs, git, xet, hook, scan };

/// What is known of an object's way, besides its bytes. Strings are empty when unknown.
struct Context {
  Direction direction = Direction::pull;
  Road road = Road::scan;
  std::string hub;      ///< name or host of the hub, e.g. "huggingface.co"
  std::string repo;     ///< canonical: "org/name", "datasets/org/name", "spaces/org/name"
  std::string revision; ///< as asked for: branch, tag or commit; for a push the ref
  std::string path;     ///< in the repository, decoded once; "" when unknown (an LFS object by oid)
  std::uint64_t size = 0;
  std::optional<Sha256> sha256; ///< as computed by the gate; nothing until all bytes were hashed
  std::string user;
  std::vector<std::string> groups;
  std::string from;   ///< client's address
  std::string client; ///< User-Agent, or the hook's environment
};

/// From mildest to strictest; the order is the meaning. allow and annotate let the object pass.
enum class Action { allow, annotate, block, quarantine };

/// enforce: decide. audit: record what would have happened. off: as if it were not written.
enum class Mode { enforce, audit, off };

struct Decision {
  Action action = Action::block;
  /// What it would be if every rule in audit mode were enforced. Same as `action` otherwise.
  Action would_be = Action::block;
  Mode mode = Mode::enforce; ///< audit when `would_be` and `action` come from different modes
  std::string rule;          ///< id of the deciding policy rule; "no-rule-matched" for the default
  std::string would_be_rule; ///< id of the rule behind `would_be`
  std::string reason;        ///< one sentence, printable
  VerdictKind verdict = VerdictKind::inconclusive;
  bool inconclusive = true;
  std::optional<Finding> finding; ///< the deciding finding, if one decided
  std::optional<Gap> gap;         ///< the deciding gap, if one decided
  /// Ids of everything that is blocked, for a waiver to cover: finding rules, "gap:REASON" for
  /// gaps, "policy:RULE" where the object itself is blocked. Empty when it passes.
  std::vector<std::string> blockers;
  std::optional<std::int64_t> waiver; ///< the waiver that let it pass, set by the Gatekeeper
  /// Reference number, given by the Gatekeeper when the decision is recorded; "" in a preview.
  std::string id;

  bool passes() const { return action < Action::block; }
};

/// What became of a rule, for `hubgate policy explain`.
struct RuleTrace {
  std::string id;
  std::size_t line = 0;
  Action action = Action::block;
  Mode mode = Mode::enforce;
  std::vector<std::string> decides; ///< finding rules, "gap:REASON", "the object"
  std::string mismatch; ///< where it decides nothing: the field that does not agree, or why else
};

/// The names of the presets, the first is the default.
std::vector<std::string_view> preset_names();

class Policy {
public:
  /// Reads a file; the error names file, line and field of the first problem and counts the rest.
  static Result<Policy> load(const std::filesystem::path& file);
  /// `name` is "guarded", "strict" or "audit".
  static Result<Policy> preset(std::string_view name);
  /// What a --policy flag names: a preset, or else a file. Empty: the default preset.
  static Result<Policy> named(std::string_view name_or_file);
  /// `source` names the text in errors; `folder` is where relative names of YARA files begin,
  /// without it the text may name none.
  static Result<Policy> from_yaml(std::string_view text, std::string_view source,
                                  const std::filesystem::path& folder = {});
  /// The folder of a policy file, for from_yaml() and check().
  static std::filesystem::path folder_of(const std::filesystem::path& file);
  /// All problems at once, warnings (unknown format or finding rule, a rule that can't be reached)
  /// among them; a text without errors loads.
  static std::vector<yaml::Problem> check(std::string_view text, std::string_view source,
                                          const std::filesystem::path& folder = {});

  Decision decide(const Report& report, const Context& context) const;
  /// Names what the rules make of the context's revision, user and groups: whatever the object, two
  /// contexts that differ in these alone and have the same class are decided alike. Empty where no
  /// rule asks for any of them. A record that something was let pass holds for one class.
  std::string class_of(const Context& context) const;
  /// One trace a rule, in their order.
  std::vector<RuleTrace> explain(const Report& report, const Context& context) const;

  const std::string& name() const;
  /// sha256 (hex) of the text it was read from, and of its YARA rules.
  const std::string& digest() const;
  Mode mode() const;
  std::size_t rules() const; ///< how many
  /// The YARA rules that it brings, or null. They must be given to the workers: give_rules().
  std::shared_ptr<const yara::Compiled> yara() const;

  struct Model;

private:
  explicit Policy(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  std::shared_ptr<const Model> model_;
};

std::string_view to_string(Direction);
std::string_view to_string(Road);
std::string_view to_string(Action);
std::string_view to_string(Mode);
std::optional<Direction> direction_from(std::string_view);
std::optional<Road> road_from(std::string_view);
std::optional<Action> action_from(std::string_view);
std::optional<Mode> mode_from(std::string_view);

} // namespace hubgate
