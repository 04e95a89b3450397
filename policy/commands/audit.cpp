// `hubgate audit verify|show`: the log of decisions.
#include "policy/commands/shared.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/glob.hpp"

#include <deque>
#include <iostream>

namespace hubgate {
namespace json = boost::json;
namespace {

struct Verify {
  std::filesystem::path data;
  bool partial = false;
};

// What the store knows of the end of the log: cutting lines off leaves a chain that is whole.
void check_end(const Verify& flags, AuditCheck& check) {
  auto store = open_for_reading(flags.data);
  const auto head = store ? (*store)->audit_head() : Result<AuditHead>(store.error());
  if (!head) {
    check.notes.push_back("the end can't be checked against the store: " + head.error().message);
    return;
  }
  if (head->seq == 0) return;
  if (check.last.seq < head->seq) {
    check.problems.push_back("the last line is " + std::to_string(check.last.seq) +
                             ", but the store knows of line " + std::to_string(head->seq) +
                             ": lines were removed from the end");
    return;
  }
  std::string hash;
  const auto read = read_audit(flags.data / "audit", head->seq,
                               [&](const AuditLog::Line& line, const json::object&) {
                                 if (line.seq == head->seq) hash = line.hash;
                                 return false;
                               });
  if (!read.ok() || hash != head->hash)
    check.problems.push_back("line " + std::to_string(head->seq) +
                             " is not the one that the store knows: it was edited");
}

int verify(const Verify& flags) {
  auto check = verify_audit(flags.data / "audit");
  if (!check) return complain(check.error().message, exit_error);
  if (check->lines == 0) {
    check_end(flags, *check);
  } else {
    if (check->first != 1 && !flags.partial)
      check->problems.push_back("the log begins with line " + std::to_string(check->first) +
                                ": earlier segments are missing (--partial if they are archived)");
    check_end(flags, *check);
  }
  for (const auto& note: check->notes)
    std::cout << "note: " << printable(note, 500) << "\n";
  for (const auto& problem: check->problems)
    std::cout << "BROKEN: " << printable(problem, 500) << "\n";
  std::cout << check->lines << " lines, " << check->problems.size() << " problems";
  if (check->lines != 0)
    std::cout << "; the last is " << check->last.seq << " " << check->last.hash;
  std::cout << "\n";
  return check->problems.empty() ? exit_ok : exit_found;
}

struct Show {
  std::filesystem::path data;
  std::string reference;
  std::string since;
  std::string repo;
  std::string decision;
  std::string who;
  std::size_t limit = 50;
  std::string format = "text";
};

std::string text(const json::object& fields, std::string_view key) {
  const json::value* value = fields.if_contains(key);
  if (value == nullptr) return {};
  if (value->is_string()) return printable(value->get_string(), 200);
  return printable(json::serialize(*value), 200);
}

int show(const Show& flags) {
  if (!flags.reference.empty()) return show_decision(flags.data, flags.reference, flags.format);
  Time since = 0;
  if (!flags.since.empty()) {
    const auto time = past_from(flags.since);
    if (!time)
      return complain("--since: '" + printable(flags.since, 60) +
                          "' is neither a date nor a duration",
                      exit_usage);
    since = *time;
  }
  // The last ones that match, in their order.
  std::deque<json::object> found;
  const auto read =
      read_audit(flags.data / "audit", 0, [&](const AuditLog::Line&, const json::object& fields) {
        const auto time = from_iso(text(fields, "time"));
        if (since != 0 && (!time || *time < since)) return true;
        if (!flags.repo.empty() && !repo_glob_matches(flags.repo, text(fields, "repo")))
          return true;
        if (!flags.decision.empty() && text(fields, "decision") != flags.decision) return true;
        if (!flags.who.empty() && text(fields, "who") != flags.who) return true;
        found.push_back(fields);
        if (flags.limit != 0 && found.size() > flags.limit) found.pop_front();
        return true;
      });
  if (!read) return complain(read.error().message, exit_error);
  if (flags.format == "jsonl") {
    for (const auto& fields: found)
      std::cout << fields << "\n";
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows{
      {"TIME", "REFERENCE", "DECISION", "VERDICT", "RULE", "WHO", "OBJECT"}};
  for (const auto& fields: found) {
    const bool decision = text(fields, "event") == "decision";
    std::string outcome = decision ? text(fields, "decision") : text(fields, "event");
    if (decision && text(fields, "would_be") != outcome)
      outcome += fields.contains("waiver") ? " (waiver " + text(fields, "waiver") + ")"
                                           : " (audit: " + text(fields, "would_be") + ")";
    std::string object = text(fields, "repo");
    if (const auto path = text(fields, "path"); !path.empty())
      object += (object.empty() ? "" : " ") + path;
    if (object.empty()) object = text(fields, "sha256").substr(0, 16);
    rows.push_back({text(fields, "time"), text(fields, "id"), outcome, text(fields, "verdict"),
                    text(fields, "rule"), text(fields, "who"), object});
  }
  std::cout << (rows.size() == 1 ? "nothing recorded\n" : table(rows));
  return exit_ok;
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  {
    auto flags = std::make_shared<Verify>();
    CLI::App& verb = *app.add_subcommand("verify", "check that nothing was edited or removed");
    verb.add_flag("--partial", flags->partial, "earlier segments were archived elsewhere");
    add_data_flag(verb, flags->data);
    verb.footer("Exit codes: 0 whole, 1 edited, reordered or cut, 3 can't be read.");
    verb.callback([flags, &exit_code] { exit_code = verify(*flags); });
  }
  {
    auto flags = std::make_shared<Show>();
    CLI::App& verb = *app.add_subcommand("show", "the last decisions, or everything about one");
    verb.add_option("REFERENCE", flags->reference, "the reference (HG-...) of a decision");
    verb.add_option("--since", flags->since, "a date or a duration (7d)");
    verb.add_option("--repo", flags->repo, "glob on the repository");
    verb.add_option("--decision", flags->decision, "allow, annotate, block or quarantine")
        ->check(CLI::IsMember({"allow", "annotate", "block", "quarantine"}));
    verb.add_option("--who", flags->who, "user");
    verb.add_option("--limit", flags->limit, "how many; 0 = all")->capture_default_str();
    verb.add_option("--format", flags->format, "text or jsonl")
        ->check(CLI::IsMember({"text", "jsonl"}))
        ->capture_default_str();
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = show(*flags); });
  }
}

} // namespace

int show_decision(const std::filesystem::path& data, const std::string& reference,
                  std::string_view format) {
  auto store = open_for_reading(data);
  if (!store) return complain(store.error().message, exit_error);
  std::string id = reference;
  for (char& c: id)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  const auto record = (*store)->decision(id);
  if (!record) return complain(record.error().message, exit_error);
  if (!*record)
    return complain("no decision has the reference " + printable(reference, 80), exit_found);
  const auto report = (*store)->report((*record)->report);
  if (!report) return complain(report.error().message, exit_error);
  json::object fields = to_json(**record);
  if (format == "jsonl") {
    if (*report) fields["analysis"] = to_json(**report);
    std::cout << fields << "\n";
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& field: fields) {
    std::string value = text(fields, field.key());
    if (!value.empty()) rows.push_back({std::string(field.key()) + ":", std::move(value)});
  }
  std::cout << table(rows);
  if (*report) std::cout << findings_text(**report, (*record)->context.path);
  return exit_ok;
}

extern const Verb verb_audit;
const Verb verb_audit{"audit", "show and verify the log of decisions", set_up};

} // namespace hubgate
