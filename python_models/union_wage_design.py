def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "union_wage",
        dbt.config.meta_get("study"),
        units=dbt.ref("union_wage_units"),
        session=session,
        scores=dbt.ref("union_wage_scores"),
    )
