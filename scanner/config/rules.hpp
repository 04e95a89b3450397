#pragma once
// The rules of configurations, whatever syntax carries them. Part of the rules of format json;
// other carriers report under the same ids.
#include "scanner/core/format.hpp"

#include <array>

namespace hubgate::config {

inline constexpr std::string_view k_exec = "AML.T0011.000";
inline constexpr std::string_view k_supply = "AML.T0010.003";
inline constexpr std::string_view k_dataset = "AML.T0010.002";

inline constexpr Rule k_auto_map{
    "config-auto-map",
    "code",
    Severity::informational,
    Reach::load,
    "CWE-94",
    k_exec,
    "CFG-001 CFG-002 CFG-008",
    "the configuration names Python code of this repository that a loader runs"};
inline constexpr Rule k_remote_code{
    "config-remote-code",
    "remote-code",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    k_exec,
    "CFG-001 CFG-002 CFG-008",
    "the configuration names Python code of another repository that a loader runs"};
inline constexpr Rule k_code_path{
    "config-code-path",
    "traversal",
    Severity::malicious,
    Reach::load,
    "CWE-22",
    k_exec,
    "CFG-001 CFG-005 CFG-006",
    "the place of the code that a loader runs leads out of the repository"};
inline constexpr Rule k_kernel{
    "config-attention-kernel",
    "remote-code",
    Severity::malicious,
    Reach::load,
    "CWE-829",
    k_exec,
    "CFG-003",
    "the name of an attention implementation is that of a repository whose code runs"};
inline constexpr Rule k_unknown_kernel{"config-attention-unknown",
                                       "remote-code",
                                       Severity::suspicious,
                                       Reach::load,
                                       "CWE-829",
                                       k_exec,
                                       "CFG-003",
                                       "an attention implementation that no loader brings with it"};
inline constexpr Rule k_trust{"config-trust-remote-code",
                              "remote-code",
                              Severity::malicious,
                              Reach::load,
                              "CWE-829",
                              k_exec,
                              "CFG-004",
                              "the configuration itself says that code of a repository may run"};
inline constexpr Rule k_class_name{
    "config-class-name",
    "code",
    Severity::suspicious,
    Reach::load,
    "CWE-470",
    k_exec,
    "CFG-005 CFG-008",
    "the name of a class is not a plain name of the library that loads it"};
inline constexpr Rule k_custom_module{
    "config-custom-module",
    "code",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    k_exec,
    "CFG-005 CFG-006",
    "a part of the model is loaded by code that its library does not bring"};
inline constexpr Rule k_import{"config-import",
                               "code",
                               Severity::suspicious,
                               Reach::load,
                               "CWE-470",
                               k_exec,
                               "CFG-006 CFG-007 CFG-016",
                               "the configuration names a module that the loader imports"};
inline constexpr Rule k_target{"config-target",
                               "unknown-class",
                               Severity::suspicious,
                               Reach::load,
                               "CWE-470",
                               k_exec,
                               "CFG-009 RTF-013",
                               "the configuration names a callable, and its loader calls it"};
inline constexpr Rule k_dangerous_target{
    "config-dangerous-target",
    "dangerous-call",
    Severity::malicious,
    Reach::load,
    "CWE-470",
    k_exec,
    "CFG-009 RTF-013",
    "the configuration names a callable with a harmful effect, and its loader calls it"};
inline constexpr Rule k_resolver{
    "config-environment",
    "reference",
    Severity::informational,
    Reach::load,
    "CWE-526",
    k_exec,
    "CFG-009",
    "a value is taken from the environment of whoever loads the configuration"};
inline constexpr Rule k_shard_path{"config-shard-path",
                                   "traversal",
                                   Severity::malicious,
                                   Reach::load,
                                   "CWE-22",
                                   k_exec,
                                   "PTH-021",
                                   "an index sends the loader for weights out of the repository"};
inline constexpr Rule k_shard_kind{"config-shard-kind",
                                   "structure",
                                   Severity::suspicious,
                                   Reach::load,
                                   "CWE-436",
                                   k_exec,
                                   "PTH-021",
                                   "an index of safetensors names a shard of another kind"};
inline constexpr Rule k_file_path{"config-file-path",
                                  "traversal",
                                  Severity::suspicious,
                                  Reach::load,
                                  "CWE-22",
                                  k_supply,
                                  "CFG-006 CFG-007 CFG-008",
                                  "a file that belongs to the model is looked for outside of it"};
inline constexpr Rule k_data_path{"dataset-path-traversal",
                                  "traversal",
                                  Severity::malicious,
                                  Reach::load,
                                  "CWE-22",
                                  k_dataset,
                                  "DAT-008",
                                  "a row of the dataset reads a file of the machine that loads it"};
inline constexpr Rule k_annotation_path{"dataset-annotation-path",
                                        "traversal",
                                        Severity::suspicious,
                                        Reach::data,
                                        "CWE-22",
                                        k_dataset,
                                        "DAT-009",
                                        "an annotation names a file far outside of the dataset"};
inline constexpr Rule k_data_files{
    "dataset-remote-files",
    "reference",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    k_dataset,
    "DAT-010",
    "the dataset's card sends the loader to files that are not in the repository"};
inline constexpr Rule k_local_files{"dataset-local-files",
                                    "traversal",
                                    Severity::malicious,
                                    Reach::load,
                                    "CWE-22",
                                    k_dataset,
                                    "DAT-010",
                                    "the dataset's card reads files of the machine that loads it"};
inline constexpr Rule k_base_model{"config-base-model",
                                   "reference",
                                   Severity::informational,
                                   Reach::load,
                                   "",
                                   k_supply,
                                   "CFG-007 GIT-016 SAF-010",
                                   "another model is loaded together with this one"};
inline constexpr Rule k_command{"config-command",
                                "script",
                                Severity::suspicious,
                                Reach::load,
                                "CWE-829",
                                k_exec,
                                "CFG-025",
                                "a development tool runs a command when the folder is opened"};
inline constexpr Rule k_task{"config-task",
                             "script",
                             Severity::informational,
                             Reach::data,
                             "",
                             k_exec,
                             "CFG-025",
                             "a development tool has a command to run"};
inline constexpr Rule k_task_script{
    "config-task-script",
    "script",
    Severity::suspicious,
    Reach::data,
    "CWE-506",
    k_exec,
    "CFG-025",
    "a command of a development tool downloads code or opens a shell"};
inline constexpr Rule k_entry_point{"config-entry-point",
                                    "code",
                                    Severity::informational,
                                    Reach::load,
                                    "CWE-829",
                                    k_exec,
                                    "CFG-016 CFG-018",
                                    "a serving tool runs code that this manifest names"};
inline constexpr Rule k_serving_code{
    "config-serving-code",
    "code",
    Severity::suspicious,
    Reach::load,
    "CWE-829",
    k_exec,
    "CFG-016 CFG-018",
    "a serving tool runs code from a place that its own library does not bring"};

inline constexpr Rule k_licence{"card-licence",
                                "licence",
                                Severity::informational,
                                Reach::data,
                                "",
                                "",
                                "CNT-003",
                                "the card's licence is unknown, or does not allow every use"};

inline constexpr std::array k_rules{
    k_auto_map,     k_remote_code,   k_code_path, k_kernel,    k_unknown_kernel,   k_trust,
    k_class_name,   k_custom_module, k_import,    k_target,    k_dangerous_target, k_resolver,
    k_shard_path,   k_shard_kind,    k_file_path, k_data_path, k_annotation_path,  k_data_files,
    k_local_files,  k_base_model,    k_command,   k_task,      k_task_script,      k_entry_point,
    k_serving_code, k_licence,
};

/// Own rules and those of configurations in one table, for Format::rules.
template <std::size_t A, std::size_t B>
constexpr std::array<Rule, A + B> joined(const std::array<Rule, A>& first,
                                         const std::array<Rule, B>& second) {
  std::array<Rule, A + B> out{};
  for (std::size_t i = 0; i < A; ++i)
    out[i] = first[i];
  for (std::size_t i = 0; i < B; ++i)
    out[A + i] = second[i];
  return out;
}

} // namespace hubgate::config
