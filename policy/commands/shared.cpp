#include "policy/commands/shared.hpp"

#include "policy/private_dir.hpp"
#include "scanner/core/evidence.hpp"
#include "scanner/core/format.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace hubgate {

void add_data_flag(CLI::App& app, std::filesystem::path& data) {
  data = default_data_dir();
  app.add_option("--data", data, "folder of records, audit log and quarantine")
      ->capture_default_str();
}

Result<std::unique_ptr<Store>> open_for_reading(const std::filesystem::path& data) {
  std::error_code error;
  if (!std::filesystem::exists(data / "hubgate.db", error))
    return Error{printable(data.string(), 300) + ": no hubgate data here" +
                 (error ? ": " + error.message() : " (name the folder with --data)")};
  Store::Options options;
  options.dir = data;
  options.engine = engine_version();
  options.rules = rules_digest(all_formats());
  options.read_only = true;
  return Store::open(std::move(options));
}

Result<std::unique_ptr<Gatekeeper>> open_for_changes(const std::filesystem::path& data) {
  if (const auto owner = act_as_owner_of(data); !owner) return owner.error();
  Gatekeeper::Options options{.data_dir = data, .policy = HUBGATE_TRY(Policy::named(""))};
  options.rules = rules_digest(all_formats());
  return Gatekeeper::open(std::move(options));
}

std::string operating_user() {
  if (const char* sudo = std::getenv("SUDO_USER"); sudo != nullptr && *sudo != '\0')
    return printable(sudo, 100);
  const passwd* entry = getpwuid(geteuid());
  return entry == nullptr ? "uid " + std::to_string(geteuid()) : printable(entry->pw_name, 100);
}

std::optional<Time> past_from(std::string_view text) {
  if (const auto time = from_iso(text)) return time;
  const auto back = yaml::duration_from(text);
  if (!back) return std::nullopt;
  return now() - std::chrono::duration_cast<std::chrono::seconds>(*back).count();
}

std::optional<Time> future_from(std::string_view text) {
  if (const auto time = from_iso(text)) return time;
  const auto ahead = yaml::duration_from(text);
  if (!ahead) return std::nullopt;
  return now() + std::chrono::duration_cast<std::chrono::seconds>(*ahead).count();
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row: rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row: rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - row[i].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string findings_text(const Report& report, std::string_view path) {
  const Verdict verdict = verdict_of(report, path);
  std::string out;
  const auto place = [](const std::string& where, std::uint64_t offset) {
    return (where.empty() ? "" : " in " + where) + " at byte " + std::to_string(offset);
  };
  for (const Finding& finding: verdict.findings) {
    out += "  " + finding.rule + " (" + std::string(to_string(finding.severity)) + ", " +
           finding.klass + ")" + place(finding.where, finding.offset) + "\n";
    if (!finding.evidence.empty()) out += "      " + finding.evidence + "\n";
  }
  for (const Gap& gap: verdict.gaps)
    out += "  not read to the end: " + std::string(to_string(gap.reason)) +
           place(gap.where, gap.offset) + (gap.detail.empty() ? "" : ": " + gap.detail) + "\n";
  return out;
}

Result<Target> target_from(Store& store, const std::string& text) {
  Target out;
  if (const auto sha256 = sha256_from_hex(text)) {
    out.sha256 = *sha256;
    return out;
  }
  std::string id = text;
  std::transform(id.begin(), id.end(), id.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (!id.starts_with("HG-"))
    return Error{"'" + printable(text, 80) +
                 "' is neither a sha256 (64 hex digits) nor a reference (HG-...)"};
  out.decision = HUBGATE_TRY(store.decision(id));
  if (!out.decision) return Error{"no decision has the reference " + printable(text, 80)};
  if (!out.decision->context.sha256)
    return Error{printable(text, 80) + " is about an object that was not hashed to its end"};
  out.sha256 = *out.decision->context.sha256;
  return out;
}

} // namespace hubgate
