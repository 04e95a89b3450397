#include "policy/commands/simulate.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <set>
#include <tuple>

namespace hubgate {
namespace {

// Decisions that change in the same way.
struct Change {
  std::size_t count = 0;
  std::set<std::string> users;
  std::set<std::string> repos;
  std::map<std::string, std::size_t> objects; // "repo path" and how often
};
using Key = std::tuple<Action, Action, std::string>; // was, would be, rule

constexpr std::size_t k_objects_shown = 5;

class Simulation {
public:
  Simulation(Store& store, const Policy& policy, bool lines)
      : store_(store), policy_(policy), lines_(lines) {}

  void add(const DecisionRecord& record) {
    ++total_;
    const auto report = this->report(record.report);
    if (!report) {
      ++without_report_;
      return;
    }
    Decision decision = policy_.decide(*report, record.context);
    Action action = decision.action;
    if (!decision.passes() && waived(record, decision, *report)) action = Action::annotate;
    const Action was = record.decision.action;
    if (action == was) {
      ++same_;
      return;
    }
    if (lines_) {
      boost::json::object line = to_json(record);
      line["simulated"] = to_string(action);
      line["simulated_rule"] = decision.rule;
      line["simulated_reason"] = decision.reason;
      std::cout << line << "\n";
    }
    Change& change = changes_[{was, action, decision.rule}];
    ++change.count;
    change.users.insert(record.context.user.empty() ? "(unknown)" : record.context.user);
    change.repos.insert(record.context.repo);
    ++change.objects[record.context.repo + " " + record.context.path];
  }

  void print(std::ostream& out) const {
    out << total_ << " decisions, " << same_ << " the same under policy " << policy_.name();
    std::size_t changed = 0;
    for (const auto& [key, change]: changes_)
      changed += change.count;
    out << ", " << changed << " changed";
    if (without_report_ != 0) out << ", " << without_report_ << " made without an analysis";
    out << "\n";
    if (policy_.mode() != Mode::enforce)
      out << "note: policy " << policy_.name() << " is in mode " << to_string(policy_.mode())
          << ": it blocks nothing\n";
    if (changes_.empty()) return;
    std::vector<std::vector<std::string>> rows{
        {"WAS", "WOULD BE", "RULE", "DECISIONS", "USERS", "REPOSITORIES"}};
    for (const auto& [key, change]: changes_)
      rows.push_back({std::string(to_string(std::get<0>(key))),
                      std::string(to_string(std::get<1>(key))), std::get<2>(key),
                      std::to_string(change.count), std::to_string(change.users.size()),
                      std::to_string(change.repos.size())});
    out << "\n" << table(rows);
    for (const auto& [key, change]: changes_) {
      out << "\n"
          << to_string(std::get<0>(key)) << " -> " << to_string(std::get<1>(key)) << " by rule "
          << std::get<2>(key) << "\n";
      std::vector<std::pair<std::size_t, std::string>> objects;
      for (const auto& [name, count]: change.objects)
        objects.emplace_back(count, name);
      std::sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
      });
      for (std::size_t i = 0; i < std::min(k_objects_shown, objects.size()); ++i)
        out << "  " << objects[i].first << "x  " << printable(objects[i].second, 300) << "\n";
      if (objects.size() > k_objects_shown)
        out << "  and " << objects.size() - k_objects_shown << " other objects\n";
      std::string users;
      std::size_t shown = 0;
      for (const auto& user: change.users) {
        if (++shown > 10) break;
        users += (users.empty() ? "" : ", ") + user;
      }
      if (change.users.size() > 10)
        users += " and " + std::to_string(change.users.size() - 10) + " more";
      out << "  users: " << printable(users, 1000) << "\n";
    }
  }

private:
  // The same report stands behind many decisions; the last few are kept.
  const Report* report(const std::string& digest) {
    if (digest.empty()) return nullptr;
    auto found = reports_.find(digest);
    if (found == reports_.end()) {
      if (reports_.size() >= 1000) reports_.clear();
      auto read = store_.report(digest);
      found = reports_.emplace(digest, read ? std::move(*read) : std::nullopt).first;
    }
    const std::optional<Report>& kept = found->second;
    return kept ? &*kept : nullptr;
  }

  // A waiver that applied then would apply under the other policy too, if it covers what that
  // blocks.
  bool waived(const DecisionRecord& record, const Decision& decision, const Report& report) {
    if (!record.context.sha256) return false;
    const auto waivers = store_.waivers_for(*record.context.sha256);
    if (!waivers) return false;
    return std::any_of(waivers->begin(), waivers->end(), [&](Waiver waiver) {
      if (record.time < waiver.created) return false;
      if (waiver.revoked > record.time) waiver.revoked = 0;
      return waives(waiver, decision, report, record.context, record.time);
    });
  }

  Store& store_;
  const Policy& policy_;
  bool lines_;
  std::size_t total_ = 0;
  std::size_t same_ = 0;
  std::size_t without_report_ = 0;
  std::map<Key, Change> changes_;
  std::map<std::string, std::optional<Report>> reports_;
};

} // namespace

int simulate(const Simulate& flags) {
  const auto policy = Policy::named(flags.policy);
  if (!policy) return complain(policy.error().message, exit_usage);
  Time since = 0;
  if (!flags.since.empty()) {
    const auto time = past_from(flags.since);
    if (!time)
      return complain("--since: '" + printable(flags.since, 60) +
                          "' is neither a date (2026-11-01) nor a duration (14d)",
                      exit_usage);
    since = *time;
  }
  const auto store = open_for_reading(flags.data);
  if (!store) return complain(store.error().message, exit_error);
  Simulation simulation(**store, *policy, flags.format == "jsonl");
  const auto read = (*store)->decisions(since, [&](const DecisionRecord& record) {
    simulation.add(record);
    return true;
  });
  if (!read) return complain(read.error().message, exit_error);
  simulation.print(flags.format == "jsonl" ? std::cerr : std::cout);
  return exit_ok;
}

} // namespace hubgate
