// `hubgate quarantine list|show|purge`: bytes kept aside for review. Never prints them.
#include "policy/commands/shared.hpp"
#include "scanner/core/evidence.hpp"

#include <iostream>

namespace hubgate {
namespace {

struct List {
  std::filesystem::path data;
};

int list(const List& flags) {
  auto store = open_for_reading(flags.data);
  if (!store) return complain(store.error().message, exit_error);
  const auto records = (*store)->quarantine();
  if (!records) return complain(records.error().message, exit_error);
  std::vector<std::vector<std::string>> rows{
      {"SHA256", "SIZE", "BYTES", "SINCE", "EXPIRES", "REFERENCE", "OBJECT"}};
  for (const auto& record: *records)
    rows.push_back({hex(record.sha256), std::to_string(record.size),
                    record.kept ? "kept" : "not kept", to_iso(record.made), to_iso(record.expires),
                    record.decision, record.repo + (record.repo.empty() ? "" : " ") + record.path});
  std::cout << (rows.size() == 1 ? "the quarantine is empty\n" : table(rows));
  return exit_ok;
}

struct Show {
  std::filesystem::path data;
  std::string object;
};

// The record whose hash begins with `text`, at least 8 digits of it.
Result<QuarantineRecord> find(Store& store, const std::string& text) {
  std::vector<QuarantineRecord> found;
  if (text.size() >= 8)
    for (auto& record: HUBGATE_TRY(store.quarantine()))
      if (hex(record.sha256).starts_with(text)) found.push_back(std::move(record));
  if (found.size() == 1) return found.front();
  if (found.empty())
    return Error{"nothing in quarantine has a sha256 that begins with '" + printable(text, 64) +
                 "' (at least 8 digits)"};
  return Error{std::to_string(found.size()) + " objects begin with '" + printable(text, 64) + "'"};
}

int show(const Show& flags) {
  auto store = open_for_reading(flags.data);
  if (!store) return complain(store.error().message, exit_error);
  const auto record = find(**store, flags.object);
  if (!record) return complain(record.error().message, exit_found);
  std::cout << "sha256:    " << hex(record->sha256) << "\n"
            << "size:      " << record->size << " bytes\n"
            << "object:    " << record->repo << " " << record->path << "\n"
            << "since:     " << to_iso(record->made) << "\n"
            << "expires:   " << to_iso(record->expires) << "\n"
            << "bytes:     "
            << (record->kept ? "kept in " + printable((flags.data / "quarantine").string(), 300)
                             : "not kept: " + record->note)
            << "\n"
            << "reference: " << record->decision << "\n";
  const auto decision = (*store)->decision(record->decision);
  if (!decision) return complain(decision.error().message, exit_error);
  if (!*decision) return exit_ok;
  std::cout << "decision:  " << to_string((*decision)->decision.action) << " by rule "
            << (*decision)->decision.rule << " of policy " << (*decision)->policy << "\n";
  const auto report = (*store)->report((*decision)->report);
  if (!report) return complain(report.error().message, exit_error);
  if (*report) std::cout << findings_text(**report, record->path);
  return exit_ok;
}

struct Purge {
  std::filesystem::path data;
  std::vector<std::string> objects;
  bool expired = false;
  bool all = false;
};

int purge(const Purge& flags) {
  if (!flags.expired && !flags.all && flags.objects.empty())
    return complain("name objects by sha256, or say --expired or --all", exit_usage);
  std::size_t expired = 0;
  {
    auto store = open_for_reading(flags.data);
    if (!store) return complain(store.error().message, exit_error);
    const auto records = (*store)->quarantine();
    if (!records) return complain(records.error().message, exit_error);
    for (const auto& record: *records)
      expired += record.expires <= now() ? 1 : 0;
  }
  const std::string by = operating_user();
  // Opening for changes removes what is expired.
  auto gatekeeper = open_for_changes(flags.data);
  if (!gatekeeper) return complain(gatekeeper.error().message, exit_error);
  std::vector<QuarantineRecord> doomed;
  if (flags.all) {
    auto records = (*gatekeeper)->store().quarantine();
    if (!records) return complain(records.error().message, exit_error);
    doomed = std::move(*records);
  }
  for (const auto& object: flags.objects) {
    const auto record = find((*gatekeeper)->store(), object);
    if (!record) return complain(record.error().message, exit_found);
    doomed.push_back(*record);
  }
  for (const auto& record: doomed)
    if (auto done = (*gatekeeper)->purge(record.sha256, by); !done)
      return complain(done.error().message, exit_error);
  std::cout << doomed.size() + expired << " removed\n";
  return exit_ok;
}

void set_up(CLI::App& app, int& exit_code) {
  app.require_subcommand(1);
  {
    auto flags = std::make_shared<List>();
    CLI::App& verb = *app.add_subcommand("list", "what is in quarantine");
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = list(*flags); });
  }
  {
    auto flags = std::make_shared<Show>();
    CLI::App& verb = *app.add_subcommand("show", "one object: where it came from, what was found");
    verb.add_option("SHA256", flags->object, "its sha256 or the first 8 digits or more")
        ->required();
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = show(*flags); });
  }
  {
    auto flags = std::make_shared<Purge>();
    CLI::App& verb = *app.add_subcommand("purge", "remove objects and their bytes");
    verb.add_option("SHA256", flags->objects, "sha256 or the first 8 digits or more");
    verb.add_flag("--expired", flags->expired, "what is past its time");
    verb.add_flag("--all", flags->all, "everything");
    add_data_flag(verb, flags->data);
    verb.callback([flags, &exit_code] { exit_code = purge(*flags); });
  }
}

} // namespace

extern const Verb verb_quarantine;
const Verb verb_quarantine{"quarantine", "look at and remove quarantined objects", set_up};

} // namespace hubgate
