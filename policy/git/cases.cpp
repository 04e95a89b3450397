#include "policy/git/cases.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/git/pointer.hpp"
#include "scanner/git/tree_check.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::array<Rule, 5> k_rules{{
    {"git-link-outside", "structure", Severity::malicious, Reach::load, "CWE-59", "AML.T0010.003",
     "GIT-006",
     "a symbolic link leads out of the repository or into .git, so whoever opens it "
     "reads or writes something else"},
    {"git-link-model", "structure", Severity::suspicious, Reach::load, "CWE-59", "AML.T0010.003",
     "GIT-006", "a symbolic link stands where a model is expected"},
    {"git-ref-replace", "structure", Severity::malicious, Reach::load, "CWE-345", "AML.T0010.003",
     "GIT-011",
     "a ref below refs/replace makes Git give out other bytes under the id of an object that was "
     "judged"},
    {"git-control-unread", "structure", Severity::malicious, Reach::load, "CWE-20", "AML.T0010.003",
     "GIT-007 GIT-008 GIT-010",
     "Git takes its configuration from a file that is made so that others don't read it"},
    {"git-attributes-large", "structure", Severity::suspicious, Reach::load, "CWE-20",
     "AML.T0010.003", "GIT-008", "a file of attributes that is too large to be read in full"},
}};

const Rule& k_link_outside = k_rules[0];
const Rule& k_link_model = k_rules[1];
const Rule& k_ref_replace = k_rules[2];
const Rule& k_control_unread = k_rules[3];
const Rule& k_attributes_large = k_rules[4];

/// As far as scanner/prose reads files of Git, in bytes.
constexpr std::uint64_t k_control_read = std::uint64_t{1} << 20;

/// File names that loaders of models open.
constexpr std::array<std::string_view, 24> k_model_suffixes{
    ".bin",     ".ckpt", ".gguf",    ".h5",          ".hdf5",   ".joblib", ".keras", ".model",
    ".msgpack", ".npy",  ".npz",     ".onnx",        ".pb",     ".pickle", ".pkl",   ".pt",
    ".pt2",     ".pth",  ".parquet", ".safetensors", ".tflite", ".data",   ".zip",   ".tar"};

std::string_view word_of(git::Kind kind) {
  switch (kind) {
  case git::Kind::commit:
    return "commit";
  case git::Kind::tree:
    return "tree";
  case git::Kind::blob:
    return "file";
  case git::Kind::tag:
    break;
  }
  return "tag";
}

} // namespace

bool is_model_name(std::string_view name) {
  std::string lower(name);
  for (char& c: lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return std::any_of(k_model_suffixes.begin(), k_model_suffixes.end(),
                     [&](std::string_view suffix) { return lower.ends_with(suffix); });
}

Finding hook_finding(const Rule& rule, std::string_view evidence) {
  Finding out;
  out.rule = rule.id;
  out.klass = rule.klass;
  out.severity = rule.severity;
  out.reach = rule.reach;
  out.evidence = printable(evidence);
  out.cwe = rule.cwe;
  out.atlas = rule.atlas;
  out.techniques = rule.techniques;
  return out;
}

std::vector<Rule> hook_rules() {
  std::vector<Rule> out(k_rules.begin(), k_rules.end());
  for (const auto& more: {git::tree_rules(), git::pointer_rules()})
    out.insert(out.end(), more.begin(), more.end());
  return out;
}

std::optional<Finding> link_finding(std::string_view path, std::string_view target,
                                    std::uint64_t size) {
  if (target.size() != size)
    return hook_finding(k_link_outside,
                        "a link whose target has " + std::to_string(size) + " bytes");
  const std::string evidence = std::string(path) + " -> " + std::string(target);
  if (git::link_target(path, target) != git::LinkTarget::inside)
    return hook_finding(k_link_outside, evidence);
  if (is_model_name(path) || is_model_name(target)) return hook_finding(k_link_model, evidence);
  return std::nullopt;
}

std::optional<Finding> control_finding(std::string_view path, const Judged& judged) {
  const auto file = git::control_file(path.substr(path.rfind('/') + 1));
  if (file != git::ControlFile::config && file != git::ControlFile::attributes) return std::nullopt;
  const std::string name(path);
  if (judged.has_nul) return hook_finding(k_control_unread, name + " has NUL bytes");
  if (judged.digest.size <= k_control_read) return std::nullopt;
  const std::string evidence = name + " has " + std::to_string(judged.digest.size) + " bytes";
  return hook_finding(file == git::ControlFile::config ? k_control_unread : k_attributes_large,
                      evidence);
}

Item CaseMaker::item_at(Place place, const git::Oid& oid, const std::string& path) const {
  Item out;
  out.place = place;
  out.oid = oid;
  out.context = context_;
  out.context.path = path;
  out.context.revision = updates_[place.rules].name;
  return out;
}

PushCase CaseMaker::of_problem(const ObjectProblem& problem) const {
  PushCase out;
  out.item = item_at(problem.place, problem.oid, problem.path);
  out.item.kind = word_of(problem.kind);
  out.item.context.sha256 = problem.sha256;
  out.item.context.size = problem.size;
  Report report;
  report.format = "git-" + out.item.kind;
  report.size = problem.size;
  if (problem.rule != nullptr)
    report.findings.push_back(hook_finding(*problem.rule, problem.text));
  else
    report.gaps.push_back(Gap{Reason::malformed, Reach::load, "", 0, printable(problem.text)});
  out.report = std::make_shared<const Report>(std::move(report));
  return out;
}

std::optional<PushCase> CaseMaker::of_ref(std::size_t ref) const {
  const git::RefUpdate& update = updates_[ref];
  if (update.deletes() || !update.name.starts_with("refs/replace/")) return std::nullopt;
  PushCase out;
  out.item = item_at({ref, {}, ref}, update.after, "");
  out.item.kind = "ref";
  out.item.advice = "don't push refs/replace: rewrite the history instead";
  const std::string text = update.name + " -> " + update.after.hex();
  out.item.context.sha256 = sha256(as_bytes(text));
  Report report;
  report.format = "git-ref";
  report.findings.push_back(hook_finding(k_ref_replace, text));
  out.report = std::make_shared<const Report>(std::move(report));
  return out;
}

void CaseMaker::of_pointer(const git::Pointer& pointer, PushCase& blob, Report& report,
                           std::vector<PushCase>& out) const {
  for (const auto& problem: pointer.problems)
    report.findings.push_back(hook_finding(git::pointer_rule("lfs-pointer-form"), problem));
  std::vector<std::string> oids{pointer.oid};
  oids.insert(oids.end(), pointer.other_oids.begin(), pointer.other_oids.end());
  for (const auto& oid: oids) {
    const Judged* object = lfs_.find(oid);
    if (object == nullptr) {
      const std::string text = "LFS object " + oid + " is not on the server";
      blob.item.missing.emplace_back(oid, oid == pointer.oid ? pointer.size.value_or(0) : 0);
      report.findings.push_back(hook_finding(
          git::pointer_rule(lfs_.may_be_late ? "lfs-object-pending" : "lfs-object-missing"), text));
      if (!lfs_.may_be_late)
        report.gaps.push_back(Gap{Reason::unreadable, Reach::load, "", 0, text});
      blob.item.advice = "run `git lfs push --all <remote>` first, or take the pointer out";
      continue;
    }
    const Judged& judged = *object;
    if (oid == pointer.oid && pointer.size && *pointer.size != judged.digest.size) {
      const std::string text = "the pointer to " + oid + " says " + std::to_string(*pointer.size) +
                               " bytes, the object has " + std::to_string(judged.digest.size);
      report.findings.push_back(hook_finding(git::pointer_rule("lfs-pointer-size"), text));
      report.gaps.push_back(Gap{Reason::malformed, Reach::load, "", 0, text});
      blob.item.advice = "write the pointer anew: git rm --cached FILE && git add FILE";
    }
    PushCase one;
    one.item = blob.item;
    one.item.context.road = Road::lfs;
    one.item.lfs = oid;
    one.item.context.sha256 = judged.digest.sha256;
    one.item.context.size = judged.digest.size;
    const std::string computed = hex(judged.digest.sha256);
    if (computed == oid) {
      one.report = std::shared_ptr<const Report>(std::shared_ptr<void>(), &judged.report);
    } else {
      Report wrong = judged.report;
      wrong.findings.insert(
          wrong.findings.begin(),
          hook_finding(git::pointer_rule("lfs-wrong-bytes"),
                       "the bytes kept for " + oid + " have the sha256 " + computed));
      one.report = std::make_shared<const Report>(std::move(wrong));
      one.item.advice = "tell whoever runs the server: its copy of the LFS object must go first";
    }
    out.push_back(std::move(one));
  }
}

std::vector<PushCase> CaseMaker::of_blob(const BlobEntry& blob, const BlobUse& use,
                                         const Judged& judged) const {
  std::vector<PushCase> out;
  PushCase one;
  one.item = item_at(use.place, blob.oid, use.path);
  one.item.context.sha256 = judged.digest.sha256;
  one.item.context.size = judged.digest.size;
  std::optional<Finding> link = use.symlink
                                    ? link_finding(use.path, judged.head, judged.digest.size)
                                    : control_finding(use.path, judged);
  if (!link && !judged.pointer) {
    one.report = std::shared_ptr<const Report>(std::shared_ptr<void>(), &judged.report);
    out.push_back(std::move(one));
    return out;
  }
  Report report = judged.report;
  if (link) report.findings.push_back(std::move(*link));
  if (judged.pointer) of_pointer(*judged.pointer, one, report, out);
  one.report = std::make_shared<const Report>(std::move(report));
  out.insert(out.begin(), std::move(one));
  return out;
}

} // namespace hubgate
