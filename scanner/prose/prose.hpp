#pragma once
// ProseWatch: what lies in text that nobody parses: secrets, personal data, instructions that are
// aimed at agents, and the line-oriented files of Git. The text format feeds it every text file,
// piece by piece; memory is bounded by the pieces.
#include "scanner/core/session.hpp"
#include "scanner/prose/git_config.hpp"

#include <array>
#include <string>
#include <string_view>

namespace hubgate::prose {

/// What a token or key is, and where.
struct Secret {
  std::string_view what; ///< "a GitHub token"
  std::size_t offset;
  std::size_t length;
  bool checked; ///< its checksum holds
};

/// The first secret in `text` at or behind `from`; its structure and, where it has one, its
/// checksum hold; placeholders ("xxxx", "EXAMPLE") are none.
std::optional<Secret> find_secret(std::string_view text, std::size_t from);

/// Personal data that passed its check: counts only.
struct Personal {
  std::uint64_t emails = 0;
  std::uint64_t phones = 0;
  std::uint64_t cards = 0;   ///< grouped, Luhn
  std::uint64_t ibans = 0;   ///< known country, modulo 97
  std::uint64_t persons = 0; ///< US social security, Chinese resident identity (checksum)
};
void count_personal(std::string_view text, Personal& counts);

/// What in a text is written for agents that read it.
struct Instructions {
  std::optional<std::size_t> overrides; ///< "ignore all previous instructions"
  std::optional<std::size_t> conceals;  ///< "do not tell the user"
  std::optional<std::size_t> addresses; ///< "if you are an AI agent"
  bool acts = false;                    ///< near one of them: commands, addresses, secrets
  bool comment = false;                 ///< one of them stands in an HTML comment
};
Instructions find_instructions(std::string_view text);

/// The first image, frame, script or style in `text` (HTML or Markdown) at or behind `from` that is
/// fetched from a host whose only use is to show who called. Offset and length of the address.
struct Beacon {
  std::size_t offset;
  std::size_t length;
};
std::optional<Beacon> find_beacon(std::string_view text, std::size_t from);

/// Changes when a text is read otherwise under the same rules.
inline constexpr std::string_view k_version = "prose 2";

class ProseWatch {
public:
  explicit ProseWatch(Session& session);
  /// The next piece of UTF-8 or 8-bit text; `offset` is that of its first byte.
  void feed(std::string_view piece, std::uint64_t offset);
  void finish();

private:
  void chunk(std::string_view text, std::uint64_t offset);
  void secrets(std::string_view text, std::uint64_t offset);
  void instructions(std::string_view text, std::uint64_t offset);
  void hidden(std::string_view text, std::uint64_t offset);
  void beacons(std::string_view text, std::uint64_t offset);
  void lines(std::string_view text, std::uint64_t offset);

  Session& session_;
  GitConfigReader config_;
  std::uint64_t fed_ = 0; ///< where config_ goes on
  std::string buffer_;
  std::uint64_t begin_ = 0; ///< offset of buffer_[0]
  std::uint64_t secrets_ = 0;
  Personal personal_;
  bool told_override_ = false;
  bool told_hidden_ = false;
  bool told_agent_ = false;
  bool told_tags_ = false;
  bool told_zero_ = false;
  bool told_beacon_ = false;
};

inline constexpr std::string_view k_agent_files =
    "AGENTS.md|CLAUDE.md|CLAUDE.local.md|GEMINI.md|SKILL.md|.cursorrules|.windsurfrules|."
    "clinerules|"
    "*.mdc|copilot-instructions.md|**/.cursor/rules/**|**/.claude/**|**/.github/instructions/**";
inline constexpr std::string_view k_read_files =
    "*.md|*.mdx|*.rst|*.txt|*.html|.cursorrules|.windsurfrules|.clinerules|*.mdc|**/.cursor/rules/"
    "**";

inline constexpr Rule k_secret{"text-secret",
                               "secret",
                               Severity::informational,
                               Reach::data,
                               "CWE-798",
                               "AML.T0055",
                               "CNT-001",
                               "a token or private key that somebody left behind"};
inline constexpr Rule k_personal{"text-personal-data",
                                 "personal-data",
                                 Severity::informational,
                                 Reach::data,
                                 "CWE-359",
                                 "AML.T0057",
                                 "CNT-002",
                                 "addresses, telephone or account numbers of persons"};
inline constexpr Rule k_injection{"text-prompt-injection",
                                  "deception",
                                  Severity::informational,
                                  Reach::data,
                                  "CWE-1427",
                                  "AML.T0051",
                                  "DAT-017 CFG-024",
                                  "a text tells a model to drop its instructions"};
inline constexpr Rule k_hidden_instructions{
    "text-hidden-instructions",
    "deception",
    Severity::suspicious,
    Reach::data,
    "CWE-1427",
    "AML.T0051",
    "CFG-024",
    "a text that agents read tells them to act and to hide it from the person they work for"};
inline constexpr Rule k_agent{
    "text-agent-instructions",
    "deception",
    Severity::suspicious,
    Reach::load,
    "CWE-1427",
    "AML.T0051",
    "CFG-024",
    "a file that agents obey overrides their instructions or has them run what nobody reads"};
inline constexpr Rule k_tags{"text-hidden-tags",
                             "deception",
                             Severity::suspicious,
                             Reach::data,
                             "CWE-1007",
                             "AML.T0051",
                             "CFG-024",
                             "text in characters that no person sees and every model reads"};
inline constexpr Rule k_zero_width{
    "text-zero-width-run",
    "deception",
    Severity::suspicious,
    Reach::data,
    "CWE-1007",
    "AML.T0051",
    "CFG-024",
    "a long run of characters without width, which can carry a hidden text"};
inline constexpr Rule k_beacon{
    "text-beacon",
    "reconnaissance",
    Severity::suspicious,
    Reach::data,
    "CWE-359",
    "AML.T0011",
    "CNT-009",
    "a picture or frame that tells a collecting host who opens the page"};
inline constexpr Rule k_git_filter{"git-attributes-filter",
                                   "script",
                                   Severity::suspicious,
                                   Reach::load,
                                   "CWE-829",
                                   "AML.T0010.003",
                                   "GIT-008",
                                   "a file attribute names a filter other than LFS, or an encoding "
                                   "that changes bytes at checkout"};
inline constexpr Rule k_lfs_redirect{
    "git-lfs-redirect",  "reference",
    Severity::malicious, Reach::load,
    "CWE-610",           "AML.T0010.003",
    "GIT-010",           "consumers of the repository fetch its large files from another server"};
inline constexpr Rule k_submodule{"git-submodule",
                                  "reference",
                                  Severity::informational,
                                  Reach::load,
                                  "CWE-829",
                                  "AML.T0010.003",
                                  "GIT-007",
                                  "another repository is checked out inside this one"};
inline constexpr Rule k_submodule_trick{
    "git-submodule-trick",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-88",
    "AML.T0010.003",
    "GIT-007",
    "the place or address of a submodule makes Git write elsewhere or run a command"};
inline constexpr Rule k_tool_script{
    "text-tool-script",
    "script",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    "AML.T0011.000",
    "CFG-025",
    "a file that a tool runs when the folder is opened downloads code or opens a shell"};
inline constexpr Rule k_pickle_module{
    "mlflow-pickle-module",
    "code",
    Severity::suspicious,
    Reach::load,
    "CWE-470",
    "AML.T0011.000",
    "CFG-016",
    "MLflow imports the module that this file names to unpickle the model"};

inline constexpr std::array k_rules{
    k_secret,        k_personal,  k_injection,       k_hidden_instructions,
    k_agent,         k_tags,      k_zero_width,      k_git_filter,
    k_lfs_redirect,  k_submodule, k_submodule_trick, k_tool_script,
    k_pickle_module, k_beacon};

} // namespace hubgate::prose
