#pragma once
// What hubgate reads of a compiled rule's meta. Internal to scanner/yara.
#include "scanner/yara/yara.hpp"

#include <yara.h>

namespace hubgate::yara {

/// The ids of modules that only calculate with the bytes they are given.
bool allowed_module(std::string_view name);

/// File and line are left empty. What is wrong in the meta is told as "rule X: …".
RuleFacts facts_of(YR_RULE* rule, std::vector<Problem>* problems);

/// yr_initialize() as long as it lives; counted by libyara.
struct Library {
  Library() : ready(yr_initialize() == ERROR_SUCCESS) {}
  ~Library() {
    if (ready) yr_finalize();
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  bool ready;
};

} // namespace hubgate::yara
