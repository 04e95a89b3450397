#pragma once
// What the verbs of policy/ share: the data folder, times and tables. Internal to the commands.
#include "policy/commands/verb.hpp"
#include "policy/gatekeeper.hpp"

#include <optional>
#include <string>
#include <vector>

namespace hubgate {

/// `--data DIR`, filled with default_data_dir() when it is not given.
void add_data_flag(CLI::App& app, std::filesystem::path& data);

/// The store for reading; an error says that there is nothing at `data`.
Result<std::unique_ptr<Store>> open_for_reading(const std::filesystem::path& data);
/// The gatekeeper for changes; it decides nothing, so its policy is the default. Run by root, the
/// process becomes the folder's owner: ask for operating_user() before.
Result<std::unique_ptr<Gatekeeper>> open_for_changes(const std::filesystem::path& data);

/// The user who runs the program: $SUDO_USER or the name of the user id.
std::string operating_user();

/// "2026-11-01", "2026-11-01T12:00:00Z", or a duration that lies back ("14d").
std::optional<Time> past_from(std::string_view text);
/// The same for the future ("30d" from now).
std::optional<Time> future_from(std::string_view text);

/// Columns padded to their widest cell, two blanks between; the first row is the head. Cells are
/// shown as they are: the caller makes them printable.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// Findings and gaps for a person, those that hold under the path, a line or two each.
std::string findings_text(const Report& report, std::string_view path);

/// Prints everything about one decision (`audit show REFERENCE`, `explain REFERENCE`); `format` is
/// "text" or "jsonl". Returns the exit code.
int show_decision(const std::filesystem::path& data, const std::string& reference,
                  std::string_view format);

/// What a flag that names an object can be: a sha256, or the reference number of a decision.
struct Target {
  Sha256 sha256{};
  std::optional<DecisionRecord> decision; ///< when a reference was given
};
Result<Target> target_from(Store& store, const std::string& text);

} // namespace hubgate
