#pragma once
// Reports as JSON: the one shape that `hubgate scan --format jsonl`, the store and the admin pages
// share.
#include "scanner/core/report.hpp"
#include "scanner/core/result.hpp"

#include <boost/json.hpp>

namespace hubgate {

boost::json::object to_json(const Finding& finding);
boost::json::object to_json(const Gap& gap);

/// Everything in the report: format, size, status, findings, gaps, dropped.
boost::json::object to_json(const Report& report);

/// The reverse, for reports read back from the store; an error names the field.
Result<Report> report_from_json(const boost::json::value& value);

} // namespace hubgate
