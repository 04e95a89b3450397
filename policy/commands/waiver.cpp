// `hubgate waiver add|list|revoke`: approved, reasoned, expiring exceptions.
#include "policy/commands/shared.hpp"
#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <iostream>

namespace hubgate {
namespace {

constexpr Time k_longest = Time{366} * 24 * 3600;

struct Add {
  std::filesystem::path data;
  std::string object;
  std::vector<std::string> rules;
  std::string scope = "*";
  std::string reason;
  std::string approver;
  std::string expires = "30d";
};

bool valid_rule(std::string_view rule) {
  return rule == "*" ||
         (!rule.empty() && rule.size() <= 100 && std::all_of(rule.begin(), rule.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
         }));
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const auto& item: items)
    out += (out.empty() ? "" : ",") + item;
  return out;
}

int add(const Add& flags) {
  Waiver waiver;
  waiver.created = now();
  const auto expires = future_from(flags.expires);
  if (!expires)
    return complain("--expires: '" + printable(flags.expires, 60) +
                        "' is neither a date (2026-12-31) nor a duration (30d)",
                    exit_usage);
  waiver.expires = *expires;
  if (waiver.expires <= waiver.created)
    return complain("--expires: " + to_iso(waiver.expires) + " is past", exit_usage);
  if (waiver.expires - waiver.created > k_longest)
    return complain("--expires: a waiver lasts at most 366 days", exit_usage);
  waiver.reason = printable(flags.reason, 500);
  if (waiver.reason.find_first_not_of(' ') == std::string::npos)
    return complain("--reason: is empty", exit_usage);
  waiver.scope = flags.scope;
  if (waiver.scope.empty()) return complain("--scope: is empty", exit_usage);
  waiver.approver = flags.approver.empty() ? operating_user() : printable(flags.approver, 100);
  for (const auto& rule: flags.rules)
    if (!valid_rule(rule))
      return complain("--rules: '" + printable(rule, 100) + "' is no rule id", exit_usage);
  waiver.rules = flags.rules;

  if (!sha256_from_hex(flags.object) && !std::filesystem::exists(flags.data / "hubgate.db"))
    return complain(open_for_reading(flags.data).error().message, exit_error);
  auto gatekeeper = open_for_changes(flags.data);
  if (!gatekeeper) return complain(gatekeeper.error().message, exit_error);
  const auto target = target_from((*gatekeeper)->store(), flags.object);
  if (!target) return complain(target.error().message, exit_usage);
  waiver.sha256 = target->sha256;
  const std::optional<DecisionRecord>& refused = target->decision;
  if (waiver.rules.empty() && refused) waiver.rules = refused->decision.blockers;
  if (waiver.rules.empty())
    return complain("--rules is missing: name what is waived, or '*'", exit_usage);
  const auto id = (*gatekeeper)->add_waiver(waiver);
  if (!id) return complain(id.error().message, exit_error);
  std::cout << "waiver " << *id << " added: " << joined(waiver.rules) << " of "
            << hex(waiver.sha256) << " in " << printable(waiver.scope, 200) << " until "
            << to_iso(waiver.expires) << ", approved by " << waiver.approver << "\n";
  return exit_ok;
}

struct List {
  std::filesystem::path data;
  bool all = false;
  std::string format = "text";
};

int list(const List& flags) {
  auto store = open_for_reading(flags.data);
  if (!store) return complain(store.error().message, exit_error);
  const auto waivers = (*store)->waivers();
  if (!waivers) return complain(waivers.error().message, exit_error);
  const Time at = now();
  std::vector<std::vector<std::string>> rows{
      {"ID", "STATE", "EXPIRES", "SHA256", "RULES", "SCOPE", "APPROVER", "REASON"}};
  for (const Waiver& waiver: *waivers) {
    if (!flags.all && !waiver.active(at)) continue;
    const std::string state = waiver.revoked != 0    ? "revoked"
                              : at >= waiver.expires ? "expired"
                                                     : "active";
    if (flags.format == "jsonl") {
      boost::json::object line;
      line["id"] = waiver.id;
      line["state"] = state;
      line["sha256"] = hex(waiver.sha256);
      line["rules"] = boost::json::array(waiver.rules.begin(), waiver.rules.end());
      line["scope"] = waiver.scope;
      line["reason"] = waiver.reason;
      line["approver"] = waiver.approver;
      line["created"] = to_iso(waiver.created);
      line["expires"] = to_iso(waiver.expires);
      if (waiver.revoked != 0) {
        line["revoked"] = to_iso(waiver.revoked);
        line["revoked_by"] = waiver.revoked_by;
      }
      std::cout << line << "\n";
      continue;
    }
    rows.push_back({std::to_string(waiver.id), state, to_iso(waiver.expires), hex(waiver.sha256),
                    joined(waiver.rules), printable(waiver.scope, 100), waiver.approver,
                    waiver.reason});
  }
  if (flags.format == "text") std::cout << (rows.size() == 1 ? "no waivers\n" : table(rows));
  return exit_ok;
}

struct Revoke {
  std::filesystem::path data;
  std::int64_t id = 0;
  std::string by;
};

int revoke(const Revoke& flags) {
  const std::string by = flags.by.empty() ? operating_user() : printable(flags.by, 100);
  if (auto store = open_for_reading(flags.data); !store)
    return complain(store.error().message, exit_error);
  auto gatekeeper = open_for_changes(flags.data);
  if (!gatekeeper) return complain(gatekeeper.error().message, exit_error);
  const auto done = (*gatekeeper)->revoke_waiver(flags.id, by);
  if (!done) return complain(done.error().message, exit_error);
  if (!*done)
    return complain("there is no waiver " + std::to_string(flags.id) + ", or it is revoked already",
                    exit_found);
  std::cout << "waiver " << flags.id << " revoked by " << by << "\n";
  return exit_ok;
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  {
    auto flags = std::make_shared<Add>();
    CLI::App& verb = *app.add_subcommand("add", "let one object pass in spite of its findings");
    verb.add_option("OBJECT,--sha256", flags->object,
                    "its sha256, or the reference (HG-...) of a refusal")
        ->required();
    verb.add_option("--rules,--rule", flags->rules,
                    "what is waived: ids of findings, gap:REASON, policy:RULE, or '*'; with a "
                    "reference the default is what it refused")
        ->delimiter(',');
    verb.add_option("--scope,--repo", flags->scope, "glob on the repository's name")
        ->capture_default_str();
    verb.add_option("--reason", flags->reason, "why, for whoever reads the log")->required();
    verb.add_option("--approver", flags->approver, "who approves; default: the user who runs this");
    verb.add_option("--expires", flags->expires, "a date or a duration, at most 366 days")
        ->capture_default_str();
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = add(*flags); });
  }
  {
    auto flags = std::make_shared<List>();
    CLI::App& verb = *app.add_subcommand("list", "show the waivers that apply");
    verb.add_flag("--all", flags->all, "expired and revoked ones too");
    verb.add_option("--format", flags->format, "text or jsonl")
        ->check(CLI::IsMember({"text", "jsonl"}))
        ->capture_default_str();
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = list(*flags); });
  }
  {
    auto flags = std::make_shared<Revoke>();
    CLI::App& verb = *app.add_subcommand("revoke", "end a waiver now");
    verb.add_option("ID", flags->id, "its number")->required();
    verb.add_option("--by", flags->by, "who revokes; default: the user who runs this");
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = revoke(*flags); });
  }
}

} // namespace

extern const Verb verb_waiver;
const Verb verb_waiver{"waiver", "add, list and revoke exceptions", set_up};

} // namespace hubgate
