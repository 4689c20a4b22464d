def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "finance",
        dbt.config.meta_get("study"),
        units=dbt.ref("finance_units"),
        session=session,
        scores=dbt.ref("finance_scores"),
    )
