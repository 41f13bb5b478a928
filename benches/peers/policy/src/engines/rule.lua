local function set(...)
  local names = {}
  for _, name in ipairs({...}) do names[name] = true end
  return names
end

local rules = {
  { name = "team-a", prefix = "team-a/", names = set("BRANCH", "VERSION", "TARGET") },
  { name = "team-b", prefix = "team-b/", names = set("GERRIT_REFSPEC", "GERRIT_BRANCH", "BUILD_TYPE") },
  { name = "team-c", prefix = "team-c/", names = set("RELEASE_BRANCH", "VERSION", "DEPLOY_TARGET") },
  { name = "team-d", prefix = "team-d/", names = set("SUITE", "SEED", "RETRIES") },
}
local others = { name = "others", names = {} }

local function rule_for(project)
  for _, rule in ipairs(rules) do
    if string.sub(project, 1, #rule.prefix) == rule.prefix then return rule end
  end
  return others
end

return function(question)
  local requested = question.requested
  for _, parameter in ipairs(requested) do
    if parameter.name == "LD_PRELOAD" then
      return {
        rejected = true,
        allowed = {},
        reason = "parameter `LD_PRELOAD` is denied by deny rule `loader`: it would run code on the node",
      }
    end
  end
  local rule = rule_for(question.project.full_name)
  local allowed = {}
  for _, parameter in ipairs(requested) do
    local name = parameter.name
    if string.sub(name, 1, 5) == "ZUUL_" or rule.names[name] then allowed[#allowed + 1] = name end
  end
  local reason = "rule `" .. rule.name .. "` allows " .. #allowed .. ", leaves out " .. (#requested - #allowed)
  return { rejected = false, allowed = allowed, reason = reason }
end
