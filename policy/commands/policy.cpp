// `hubgate policy check|explain|simulate`.
#include "policy/commands/simulate.hpp"
#include "policy/yara_rules.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/worker/worker.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <iostream>

namespace hubgate {
namespace {

constexpr std::uintmax_t k_policy_max = std::uintmax_t{1} << 20;
constexpr std::uintmax_t k_report_max = std::uintmax_t{256} << 20;

int check(const std::vector<std::string>& files) {
  int code = exit_ok;
  for (const auto& file: files) {
    bool preset = false;
    for (const auto name: preset_names())
      preset = preset || name == file;
    if (preset) {
      std::cout << file << ": is a preset of this program\n";
      continue;
    }
    const auto text = yaml::read_file(file, k_policy_max);
    if (!text) {
      code = complain(text.error().message, exit_usage);
      continue;
    }
    const std::filesystem::path folder = Policy::folder_of(file);
    bool bad = false;
    for (const auto& problem: Policy::check(*text, printable(file, 300), folder)) {
      std::cerr << to_string(problem) << "\n";
      bad = bad || !problem.warning;
    }
    if (bad) {
      code = exit_usage;
      continue;
    }
    const auto policy = Policy::from_yaml(*text, file, folder);
    if (!policy) return complain(policy.error().message, exit_usage);
    std::cout << printable(file, 300) << ": fine: policy " << policy->name() << ", "
              << policy->rules() << " rules, mode " << to_string(policy->mode()) << ", "
              << (policy->yara() ? std::to_string(policy->yara()->rules.size()) + " YARA rules, "
                                 : std::string())
              << "digest " << policy->digest() << "\n";
  }
  return code;
}

struct Explain {
  std::vector<std::string> files;
  std::string policy;
  std::string report;
  std::string path;
  std::string direction = "pull";
  std::string road = "hub";
  std::string hub;
  std::string repo;
  std::string revision;
  std::string user;
  std::vector<std::string> groups;
  std::filesystem::path data;
  bool waivers = false;
};

void print_decision(const std::string& name, const Policy& policy, const Report& report,
                    const Context& context, const std::vector<Waiver>& waivers) {
  const Decision decision = policy.decide(report, context);
  std::cout << printable(name, 300) << "\n"
            << "  verdict   " << to_string(decision.verdict)
            << (decision.inconclusive && decision.verdict != VerdictKind::inconclusive
                    ? " and inconclusive"
                    : "")
            << ", format " << (report.format.empty() ? "unknown" : report.format) << "\n"
            << "  decision  " << to_string(decision.action) << " by rule " << decision.rule
            << " of policy " << policy.name() << ": " << decision.reason << "\n";
  if (decision.would_be != decision.action)
    std::cout << "  enforced  it would be " << to_string(decision.would_be) << " by rule "
              << decision.would_be_rule << "\n";
  for (const Waiver& waiver: waivers)
    if (!decision.passes() && waives(waiver, decision, report, context, now()))
      std::cout << "  waiver    " << waiver.id << " lets it pass until " << to_iso(waiver.expires)
                << "\n";
  if (!report.findings.empty() || !report.gaps.empty())
    std::cout << "  found\n" << findings_text(report, context.path);
  std::cout << "  rules\n";
  std::vector<std::vector<std::string>> rows;
  for (const RuleTrace& trace: policy.explain(report, context)) {
    std::string what;
    for (const auto& item: trace.decides)
      what += (what.empty() ? "decides " : ", ") + item;
    if (what.empty())
      what = trace.mismatch.find(' ') == std::string::npos ? "does not match: " + trace.mismatch
                                                           : "does not decide: " + trace.mismatch;
    const std::string mode =
        trace.mode == Mode::enforce ? "" : " (" + std::string(to_string(trace.mode)) + ")";
    rows.push_back({"   ", trace.id, std::string(to_string(trace.action)) + mode, what});
  }
  std::cout << table(rows);
}

// Lines of `hubgate scan --format jsonl`, a file each.
int explain_reports(const Explain& flags, const Policy& policy, Context context) {
  const auto text = yaml::read_file(flags.report, k_report_max);
  if (!text) return complain(text.error().message, exit_error);
  std::string_view rest = *text;
  std::size_t number = 0;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty()) continue;
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    const std::string at = printable(flags.report, 300) + ":" + std::to_string(number) + ": ";
    if (error) return complain(at + "is no JSON", exit_error);
    const auto report = report_from_json(value);
    if (!report) return complain(at + report.error().message, exit_error);
    const auto* path = value.get_object().if_contains("path");
    const std::string name =
        path != nullptr && path->is_string() ? std::string(path->get_string()) : "";
    context.path = flags.path.empty() ? name : flags.path;
    context.size = report->size;
    print_decision(name.empty() ? at : name, policy, *report, context, {});
  }
  return exit_ok;
}

struct Scanned {
  Report report;
  Sha256 sha256{};
};

Result<Scanned> scan_and_hash(WorkerPool& pool, const std::string& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info{};
  const std::string name = printable(file, 300);
  if (!fd || ::fstat(fd.get(), &info) != 0) return Error{name + ": " + std::strerror(errno)};
  if (!S_ISREG(info.st_mode)) return Error{name + ": is no regular file"};
  const auto size = static_cast<std::uint64_t>(info.st_size);
  Scanned out;
  out.report = scan_file(pool, fd.get(), size, Limits{});
  out.report.size = size;
  BlockHasher hasher;
  std::vector<std::uint8_t> piece(std::size_t{1} << 18);
  for (;;) {
    const ssize_t n =
        ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(hasher.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{name + ": " + std::strerror(errno)};
    if (n == 0) break;
    hasher.update(Bytes(piece).first(static_cast<std::size_t>(n)));
  }
  out.sha256 = hasher.finish().sha256;
  return out;
}

int explain(const Explain& flags) {
  // The pool is forked before anything else is opened.
  auto pool = WorkerPool::start(all_formats());
  if (!pool) return complain(pool.error().message, exit_error);
  const auto policy = Policy::named(flags.policy);
  if (!policy) return complain(policy.error().message, exit_usage);
  if (const auto given = give_rules(**pool, *policy); !given)
    return complain(given.error().message, exit_error);
  if (flags.files.empty() && flags.report.empty())
    return complain("name files, or a report with --report", exit_usage);
  if (!flags.path.empty() && flags.files.size() > 1)
    return complain("--path is for one file", exit_usage);
  Context context;
  context.direction = direction_from(flags.direction).value_or(Direction::pull);
  context.road = road_from(flags.road).value_or(Road::hub);
  context.hub = flags.hub;
  context.repo = flags.repo;
  context.revision = flags.revision;
  context.user = flags.user;
  context.groups = flags.groups;
  int code = exit_ok;
  if (!flags.report.empty()) code = explain_reports(flags, *policy, context);
  std::unique_ptr<Store> store;
  if (flags.waivers) {
    auto opened = open_for_reading(flags.data);
    if (!opened) return complain(opened.error().message, exit_error);
    store = std::move(*opened);
  }
  for (const auto& file: flags.files) {
    const auto scanned = scan_and_hash(**pool, file);
    if (!scanned) {
      code = complain(scanned.error().message, exit_error);
      continue;
    }
    context.path = flags.path.empty() ? file : flags.path;
    context.size = scanned->report.size;
    context.sha256 = scanned->sha256;
    std::vector<Waiver> waivers;
    if (store) {
      auto found = store->waivers_for(scanned->sha256);
      if (!found) return complain(found.error().message, exit_error);
      waivers = std::move(*found);
    }
    print_decision(file, *policy, scanned->report, context, waivers);
  }
  return code;
}

void set_up_explain(CLI::App& verb, int& exit_code) {
  auto flags = std::make_shared<Explain>();
  verb.add_option("FILE", flags->files, "files to scan");
  verb.add_option("--policy", flags->policy, "a policy file or preset; default: guarded");
  verb.add_option("--report", flags->report,
                  "lines of `hubgate scan --format jsonl` instead of files");
  verb.add_option("--path", flags->path, "the path in the repository; default: the file's own");
  verb.add_option("--direction", flags->direction)
      ->check(CLI::IsMember({"pull", "push"}))
      ->capture_default_str();
  verb.add_option("--road", flags->road)
      ->check(CLI::IsMember({"hub", "lfs", "git", "xet", "hook", "scan"}))
      ->capture_default_str();
  verb.add_option("--hub", flags->hub, "the hub's name");
  verb.add_option("--repo", flags->repo, "canonical name: org/name, datasets/org/name");
  verb.add_option("--revision", flags->revision, "branch, tag, commit or ref");
  verb.add_option("--user", flags->user);
  verb.add_option("--group", flags->groups)->delimiter(',');
  auto* data = verb.add_option("--data", flags->data, "look for waivers there");
  verb.callback([flags, data, &exit_code] {
    flags->waivers = data->count() != 0;
    exit_code = explain(*flags);
  });
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  {
    auto files = std::make_shared<std::vector<std::string>>();
    CLI::App& verb = *app.add_subcommand("check", "find the mistakes in a policy file");
    verb.add_option("FILE", *files, "policy files")->required();
    verb.footer("Exit codes: 0 fine, 2 mistakes; warnings alone are fine.");
    verb.callback([files, &exit_code] { exit_code = check(*files); });
  }
  set_up_explain(
      *app.add_subcommand("explain", "which rule decides over a file in a context, and why"),
      exit_code);
  {
    auto flags = std::make_shared<Simulate>();
    CLI::App& verb =
        *app.add_subcommand("simulate", "what a policy would have decided for the recorded past");
    verb.add_option("POLICY", flags->policy, "a policy file or preset")->required();
    verb.add_option("--since", flags->since, "a date or a duration (14d); default: everything");
    verb.add_option("--format", flags->format, "text, or jsonl with a line a changed decision")
        ->check(CLI::IsMember({"text", "jsonl"}))
        ->capture_default_str();
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = simulate(*flags); });
  }
}

} // namespace

extern const Verb verb_policy;
const Verb verb_policy{"policy", "check, explain and try out policies", set_up};

} // namespace hubgate
