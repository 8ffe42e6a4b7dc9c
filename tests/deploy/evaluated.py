"""What CloudFormation makes of a template with given parameters: its conditions, references and loops worked out."""

import base64
import re

PSEUDO = {
    "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::StackName": "nomad-drain",
    "AWS::NoValue": None,
}


class Stack:
    """References to other resources stay as they are: `<Name>`, and `<Name.Attribute>`."""

    def __init__(self, template, parameters):
        self.template = template
        unknown = set(parameters) - set(template["Parameters"])
        if unknown:
            raise ValueError(f"the template has no parameter {sorted(unknown)}")
        self.values = dict(PSEUDO)
        for name, declared in template["Parameters"].items():
            value = parameters.get(name, declared.get("Default", f"<{name}>"))
            if declared["Type"] == "CommaDelimitedList":
                value = value.split(",") if value else []
            self.values[name] = value

    def holds(self, name):
        return self.evaluate(self.template["Conditions"][name])

    def resources(self):
        """Name to body of everything that is made."""
        made = {}
        for name, body in self.template["Resources"].items():
            if not name.startswith("Fn::ForEach::"):
                self._make(name, body, made)
                continue
            variable, over, bodies = body
            for item in self.evaluate(over):
                self.values[variable] = item
                for pattern, body in bodies.items():
                    self._make(pattern.replace("&{%s}" % variable, item), body, made)
        return made

    def _make(self, name, body, made):
        if "Condition" not in body or self.holds(body["Condition"]):
            made[name] = {"Type": body["Type"], "Properties": self.evaluate(body.get("Properties", {}))}

    def evaluate(self, value):
        if isinstance(value, list):
            return [item for item in map(self.evaluate, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), = value.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return getattr(self, "_" + function.removeprefix("Fn::").lower())(argument)
        found = {key: self.evaluate(inner) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner is not None}

    def _ref(self, name):
        return self.values[name] if name in self.values else f"<{name}>"

    def _condition(self, name):
        return self.holds(name)

    def _getatt(self, path):
        return f"<{'.'.join(path)}>"

    def _if(self, parts):
        condition, yes, no = parts
        return self.evaluate(yes if self.holds(condition) else no)

    def _equals(self, parts):
        one, other = map(self.evaluate, parts)
        return str(one) == str(other)

    def _not(self, parts):
        return not self.evaluate(parts[0])

    def _and(self, parts):
        return all(map(self.evaluate, parts))

    def _or(self, parts):
        return any(map(self.evaluate, parts))

    def _join(self, parts):
        return parts[0].join(map(str, self.evaluate(parts[1])))

    def _select(self, parts):
        # An empty list is one empty item, as CloudFormation has it.
        return (self.evaluate(parts[1]) or [""])[int(parts[0])]

    def _split(self, parts):
        return self.evaluate(parts[1]).split(parts[0])

    def _length(self, items):
        return len(self.evaluate(items))

    def _base64(self, text):
        return base64.b64encode(self.evaluate(text).encode()).decode()

    def _sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})
        own = self.evaluate(own)

        def replaced(match):
            name = match[1]
            return str(own[name] if name in own else self._ref(name))

        return re.sub(r"\$\{([^}!]+)\}", replaced, text)
