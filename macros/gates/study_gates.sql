{#
    All gates of one study: one row a gate x subject x estimand x estimator. The statistics give values; thresholds come from
    vars (gate_thresholds), and what a failed gate forbids from the seed gate_policy, with gate_exceptions a study.
    Where a contract is broken, the gates that need the broken column are left out and the contract row tells why.
#}
{% macro study_gates(study, block, units, scores=none, design=none) %}
    {% set policy = ref('gate_policy') %}
    {% set exceptions = ref('gate_exceptions') %}
    {% if not execute %}{{ return('select 1 as parsed') }}{% endif %}

    {% set present = cqox.units_columns(units) %}
    {% set wrong = cqox.misdeclared(block) %}
    {% set block = cqox.readable_block(block) %}
    {% set units = cqox.weighing(block, units, present) ~ (' as weighing' if block.get('weight') else '') %}
    {% set parts = [cqox.gate_contract(study, block, units, present)] + wrong %}
    {% set intact = cqox.unreadable_columns(block, present) | length == 0 %}
    {% do parts.extend(cqox.gate_inputs(study, block, units, present, scores, design)) %}
    {% do parts.extend(cqox.gate_sources(study)) %}
    {% set adjusted = intact and design is not none and block.get('treatment') and block.get('covariates') %}
    {% if adjusted and scores is not none %}
        {% do parts.append(cqox.gate_balance(study, design)) %}
    {% endif %}
    {% if intact and scores is not none %}
        {% do parts.append(cqox.gate_overlap(block, scores)) %}
        {% do parts.append(cqox.gate_effective_sample_size(scores)) %}
    {% endif %}
    {% if adjusted %}
        {% do parts.append(cqox.gate_collinearity(study, block, design)) %}
    {% endif %}
    {% if design is not none and cqox.design_checks(block) %}
        {% do parts.append(cqox.gate_design(block, design)) %}
    {% endif %}

    with

    judged as (

        {% for part in parts %}
            select * from ({{ part }}) as part_{{ loop.index }}
            {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    general as (

        select
            gate,
            '*' as subject,
            estimator,
            estimand,
            blocks,
            severity,
            remedy,
            {{ cqox.null_text() }} as exception_reason,
            (case when estimator = '*' then 0 else 4 end)
            + (case when estimand = '*' then 0 else 2 end)
            + (case when design = '*' then 0 else 1 end) as specificity
        from {{ policy }}
        where
            design in ('*', {{ cqox.text_literal(block.get('design')) }})
            and estimator not in ('{{ cqox.strangers(block, scores) | join("', '") }}')

    ),

    -- an exception stands above every general line; severity and remedy are the gate's own
    exceptional as (

        select
            lines.gate,
            lines.subject,
            lines.estimator,
            lines.estimand,
            lines.blocks,
            general.severity,
            general.remedy,
            lines.reason as exception_reason,
            8 + (case when lines.estimator = '*' then 0 else 4 end)
            + (case when lines.estimand = '*' then 0 else 2 end) as specificity
        from {{ exceptions }} as lines
        left join general
            on
                lines.gate = general.gate
                and general.estimator = '*'
                and general.estimand = '*'
        where lines.study = {{ cqox.text_literal(study) }}

    ),

    policy as (

        select * from general
        union all
        select * from exceptional

    ),

    -- a line that names an estimator or an estimand makes a row of its own beside the general one
    ruled as (

        select
            judged.gate,
            judged.subject,
            coalesce(judged.estimand, nullif(policy.estimand, '*')) as estimand,
            coalesce(judged.estimator, nullif(policy.estimator, '*')) as estimator,
            judged.value,
            judged.threshold,
            judged.is_passing,
            judged.reason,
            judged.remedy as own_remedy,
            policy.blocks,
            policy.severity,
            policy.remedy,
            policy.exception_reason,
            policy.specificity
        from judged
        left join policy
            on
                judged.gate = policy.gate
                and (policy.subject = '*' or judged.subject = policy.subject)
                and (policy.estimator = '*' or judged.estimator is null or judged.estimator = policy.estimator)
                and (policy.estimand = '*' or judged.estimand is null or judged.estimand = policy.estimand)

    ),

    ranked as (

        select
            *,
            row_number() over (
                partition by gate, subject, estimand, estimator order by specificity desc
            ) as place
        from ruled

    ),

    standing as (

        select
            *,
            -- closed on NULL, and a gate without a policy line blocks
            not coalesce(is_passing, false) and coalesce(blocks, true) as forbids
        from ranked
        where place = 1

    ),

    -- the other estimands that a remedy may point to: none that this study would refuse as well
    others as (

        select
            coalesce(max(case when forbids and estimator is null and coalesce(estimand, 'ATT') = 'ATT' then 1 else 0 end), 1)
                = 0 as has_att,
            coalesce(
                max(
                    case
                        when forbids and coalesce(estimator, 'ipw') = 'ipw' and coalesce(estimand, 'ATO') = 'ATO' then 1
                        else 0
                    end
                ),
                1
            ) = 0
            and coalesce(max(case when estimator = 'ipw' and estimand = 'ATO' and gate = 'balance' then 1 else 0 end), 0) = 1
                as has_ato
        from standing

    ),

    final as (

        select
            {{ cqox.as_text(cqox.text_literal(study)) }} as study,
            ranked.gate,
            ranked.subject,
            ranked.estimand,
            ranked.estimator,
            {{ cqox.bounded('ranked.value') }} as value,
            ranked.threshold,
            -- closed on NULL, NaN and infinity (both are above every threshold): what is no number has not passed
            coalesce(ranked.is_passing and (ranked.value is null or abs(ranked.value) <= 1e150), false) as is_passing,
            -- a gate without a policy line blocks
            coalesce(ranked.blocks, true) as blocks,
            coalesce(ranked.severity, 'warn') as severity,
            case
                when ranked.exception_reason is null then ranked.reason
                else ranked.reason || ' (exception: ' || ranked.exception_reason || ')'
            end as reason,
            -- what could not be computed is mended by its own cause: the policy's remedy is for a value that fails
            coalesce(
                ranked.own_remedy,
                case
                    when ranked.value is null and ranked.gate <> 'contract' and not coalesce(ranked.is_passing, false) then
                        {{ cqox.null_text() }}
                    when ranked.forbids and ranked.gate in ('overlap', 'effective_sample_size') then
                        ranked.remedy
                        || case
                            when ranked.gate = 'overlap' and ranked.estimand = 'ATE' and others.has_att then ' or ask for the ATT'
                            else ''
                        end
                        || case
                            when coalesce(ranked.estimator, 'ipw') = 'ipw' and ranked.estimand <> 'ATO' and others.has_ato
                                then ' or ask for the ATO of ipw'
                            else ''
                        end
                    else ranked.remedy
                end
            ) as remedy,
            cast('{{ cqox.utc_now() }}' as timestamp) as checked_at
        from standing as ranked
        cross join others

    )

    select * from final
{% endmacro %}

{# Estimators that have policy lines of their own and cannot run in this study: their lines would only make noise. #}
{% macro strangers(block, scores) %}
    {% set out = ['ols' if scores is not none else 'difference_in_means'] %}
    {% if not block.get('instruments') %}{% do out.append('iv') %}{% endif %}
    {{ return(out) }}
{% endmacro %}

{# Lower-case names and types of the columns of a relation: a mapping of name to data type. #}
{% macro units_columns(units) %}
    {% set present = {} %}
    {% for column in adapter.get_columns_in_relation(units) %}
        {% do present.update({column.name: column.dtype | lower}) %}
    {% endfor %}
    {{ return(present) }}
{% endmacro %}

{# One judged row, from SQL for its value and its pass; `reason` is SQL that gives text. #}
{% macro gate_row(gate, subject, value, threshold, is_passing, reason, estimand=none, estimator=none, source=none, remedy=none) %}
    select
        {{ cqox.as_text("'" ~ gate ~ "'") }} as gate,
        {{ subject }} as subject,
        {{ estimand or cqox.null_text() }} as estimand,
        {{ estimator or cqox.null_text() }} as estimator,
        cast({{ value }} as {{ cqox.type_double() }}) as value,
        cast({{ threshold }} as {{ cqox.type_double() }}) as threshold,
        {{ is_passing }} as is_passing,
        {{ reason }} as reason,
        {{ remedy or cqox.null_text() }} as remedy
    {%- if source %}
        from {{ source }}
    {%- endif %}
{% endmacro %}

{% macro gate_threshold(gate) %}
    {# a project that installs this one sees its own vars only: its models need the block in their project's vars #}
    {% set thresholds = var('gate_thresholds', {}) %}
    {% if gate not in thresholds %}
        {% do exceptions.raise_compiler_error(
            "vars: gate_thresholds has no '" ~ gate ~ "'. Copy the full block from cqox's dbt_project.yml."
        ) %}
    {% endif %}
    {{ return(thresholds[gate]) }}
{% endmacro %}
