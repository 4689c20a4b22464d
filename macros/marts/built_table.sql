{# The table of a model where it stands in the warehouse, else none. Without a `ref`, as not every study has every table. #}
{% macro built_table(name) %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name == name %}
        {{ return(load_relation(api.Relation.create(
            database=node.database, schema=node.schema, identifier=node.alias
        ))) }}
    {% endfor %}
    {{ return(none) }}
{% endmacro %}
